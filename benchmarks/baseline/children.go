package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	placeholder  = "agent-placeholder"
	noUID        = "00000000-0000-0000-0000-000000000000"
	hash         = "purpleflea.com/desired-hash"
	settings     = "purpleflea.com/settings"
	controlFile  = "control.json"
	modeTemplate = `{"mode":%q,"generation":0}`
)

// children are the manifests of one agent, as the project's operator renders them, with placeholders.
type children []json.RawMessage

func readChildren(file string) (children, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var result children
	return result, json.Unmarshal(content, &result)
}

// of returns the typed children of an agent.
func (c children) of(agent *Agent) ([]client.Object, error) {
	var result []client.Object
	for _, raw := range c {
		text := strings.NewReplacer(placeholder, agent.Name, noUID, string(agent.UID)).Replace(string(raw))
		child, err := decode([]byte(text))
		if err != nil {
			return nil, err
		}
		if err := fill(child, agent); err != nil {
			return nil, err
		}
		result = append(result, child)
	}
	return result, nil
}

func decode(text []byte) (client.Object, error) {
	var header struct{ Kind string }
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, err
	}
	kinds := map[string]client.Object{
		"ConfigMap":     &corev1.ConfigMap{},
		"NetworkPolicy": &networkingv1.NetworkPolicy{},
		"StatefulSet":   &appsv1.StatefulSet{},
	}
	child, ok := kinds[header.Kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind %q", header.Kind)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return child, decoder.Decode(child)
}

// fill sets the parts that depend on the spec, and the hash of the result.
func fill(child client.Object, agent *Agent) error {
	switch child := child.(type) {
	case *corev1.ConfigMap:
		child.Data[controlFile] = fmt.Sprintf(modeTemplate, agent.Spec.Trading.Mode)
	case *appsv1.StatefulSet:
		text, err := json.Marshal(map[string]any{"strategy": agent.Spec.Strategy, "markets": agent.Spec.Markets})
		if err != nil {
			return err
		}
		child.Spec.Template.Annotations[settings] = string(text) + padding
	}
	delete(child.GetAnnotations(), hash)
	text, err := json.Marshal(child)
	if err != nil {
		return err
	}
	sum := fnv.New64a()
	_, _ = sum.Write(text)
	annotations := child.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[hash] = fmt.Sprintf("%016x", sum.Sum64())
	child.SetAnnotations(annotations)
	return nil
}

// padding makes the annotation about as long as the complete settings.
var padding = strings.Repeat(" ", 560)
