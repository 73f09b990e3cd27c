package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var groupVersion = schema.GroupVersion{Group: "purpleflea.com", Version: "v1alpha1"}

// Agent is a PurpleFleaAgent with the fields that the baseline uses.
type Agent struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              AgentSpec   `json:"spec"`
	Status            AgentStatus `json:"status,omitempty"`
}

// AgentSpec has the settings that the benchmark changes.
type AgentSpec struct {
	Strategy string   `json:"strategy"`
	Markets  []string `json:"markets"`
	Trading  Trading  `json:"trading"`
}

// Trading has the trading mode.
type Trading struct {
	Mode string `json:"mode"`
}

// AgentStatus is the observed state.
type AgentStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Replicas           int32              `json:"replicas"`
	ReadyReplicas      int32              `json:"readyReplicas"`
	UpdatedReplicas    int32              `json:"updatedReplicas"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// DeepCopyInto copies the receiver.
func (in *Agent) DeepCopyInto(out *Agent) {
	*out = *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Markets = append([]string(nil), in.Spec.Markets...)
	out.Status.Conditions = append([]metav1.Condition(nil), in.Status.Conditions...)
}

// DeepCopyObject implements runtime.Object.
func (in *Agent) DeepCopyObject() runtime.Object {
	out := new(Agent)
	in.DeepCopyInto(out)
	return out
}

// AgentList is a list of agents.
type AgentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Agent `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (in *AgentList) DeepCopyObject() runtime.Object {
	out := &AgentList{TypeMeta: in.TypeMeta, ListMeta: *in.ListMeta.DeepCopy(), Items: make([]Agent, len(in.Items))}
	for i := range in.Items {
		in.Items[i].DeepCopyInto(&out.Items[i])
	}
	return out
}

func addToScheme(scheme *runtime.Scheme) {
	scheme.AddKnownTypeWithName(groupVersion.WithKind("PurpleFleaAgent"), &Agent{})
	scheme.AddKnownTypeWithName(groupVersion.WithKind("PurpleFleaAgentList"), &AgentList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
}
