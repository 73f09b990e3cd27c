// The baseline of the benchmark: an operator as a Go developer would write it with controller-runtime. It creates the
// same children as the project's operator and reports one condition. It has no control lane, no acknowledgements and no
// telemetry.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const workers = 8

type reconciler struct {
	client.Client
	children children
}

// Reconcile writes the children that differ, and the status.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	agent := &Agent{}
	if err := r.Get(ctx, request.NamespacedName, agent); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if agent.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	wanted, err := r.children.of(agent)
	if err != nil {
		return ctrl.Result{}, err
	}
	for _, child := range wanted {
		if err := r.ensure(ctx, child); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, r.report(ctx, agent)
}

// ensure creates a child, or updates it if its hash differs.
func (r *reconciler) ensure(ctx context.Context, wanted client.Object) error {
	live := wanted.DeepCopyObject().(client.Object)
	err := r.Get(ctx, client.ObjectKeyFromObject(wanted), live)
	if apierrors.IsNotFound(err) {
		// The cache may lag behind an earlier create.
		if err := r.Create(ctx, wanted); !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil
	}
	if err != nil || live.GetAnnotations()[hash] == wanted.GetAnnotations()[hash] {
		return err
	}
	base := live.DeepCopyObject().(client.Object)
	live.SetAnnotations(wanted.GetAnnotations())
	switch live := live.(type) {
	case *corev1.ConfigMap:
		live.Data = wanted.(*corev1.ConfigMap).Data
	case *networkingv1.NetworkPolicy:
		live.Spec = wanted.(*networkingv1.NetworkPolicy).Spec
	case *appsv1.StatefulSet:
		live.Spec.Replicas = wanted.(*appsv1.StatefulSet).Spec.Replicas
		live.Spec.Template = wanted.(*appsv1.StatefulSet).Spec.Template
	}
	return r.Patch(ctx, live, client.MergeFrom(base))
}

// report writes the status if it changed.
func (r *reconciler) report(ctx context.Context, agent *Agent) error {
	set := &appsv1.StatefulSet{}
	key := types.NamespacedName{Namespace: agent.Namespace, Name: agent.Name}
	if err := r.Get(ctx, key, set); client.IgnoreNotFound(err) != nil {
		return err
	}
	base := agent.DeepCopy()
	status := &agent.Status
	status.ObservedGeneration = agent.Generation
	status.Replicas, status.ReadyReplicas = set.Status.Replicas, set.Status.ReadyReplicas
	status.UpdatedReplicas = set.Status.UpdatedReplicas
	meta.SetStatusCondition(&status.Conditions, ready(agent, set))
	if equality.Semantic.DeepEqual(base.Status, *status) {
		return nil
	}
	return r.Status().Patch(ctx, agent, client.MergeFrom(base))
}

func ready(agent *Agent, set *appsv1.StatefulSet) metav1.Condition {
	result := metav1.Condition{
		Type: "Ready", Status: metav1.ConditionFalse, Reason: "Progressing",
		Message: "agents are being started or replaced", ObservedGeneration: agent.Generation,
	}
	status := set.Status
	current := set.Generation != 0 && status.ObservedGeneration == set.Generation
	if current && status.ReadyReplicas == *set.Spec.Replicas && status.UpdatedReplicas == *set.Spec.Replicas {
		result.Status, result.Reason, result.Message = metav1.ConditionTrue, "Ready", "all agents are ready"
	}
	return result
}

// DeepCopy returns a copy.
func (in *Agent) DeepCopy() *Agent { return in.DeepCopyObject().(*Agent) }

func run() error {
	file := flag.String("children", "", "file with the manifests of the children")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	manifests, err := readChildren(*file)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	addToScheme(scheme)
	config := ctrl.GetConfigOrDie()
	config.QPS, config.Burst = -1, -1
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: "0"},
		HealthProbeBindAddress:        ":" + os.Getenv("PURPLEFLEA_OPERATOR_HEALTH_PORT"),
		LeaderElection:                true,
		LeaderElectionNamespace:       "purpleflea-system",
		LeaderElectionID:              "purpleflea-operator",
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return err
	}
	synced := func(request *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(request.Context()) {
			return errors.New("the cache is not synced")
		}
		return nil
	}
	if err := mgr.AddReadyzCheck("cache", synced); err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(mgr).For(&Agent{}).
		Owns(&corev1.ConfigMap{}).Owns(&networkingv1.NetworkPolicy{}).Owns(&appsv1.StatefulSet{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{Client: mgr.GetClient(), children: manifests})
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
