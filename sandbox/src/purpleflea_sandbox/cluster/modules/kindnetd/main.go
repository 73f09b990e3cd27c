// Command kindnetd connects the pods of the nodes of a kind cluster. kind's own program of this name is not a Go module,
// so this one takes its place in node images that are built without a registry.
//
// On each node it writes the CNI configuration from the node's range of pod addresses, keeps a route to the range of
// every other node, and masquerades traffic of pods that leaves the pod network. It has no NetworkPolicy and no IPv6.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	configuration = "/etc/cni/net.d/10-kindnet.conflist"
	period        = 2 * time.Second
)

func main() {
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	config.Timeout = 10 * time.Second
	client := kubernetes.NewForConfigOrDie(config)
	for {
		if err := reconcile(client, os.Getenv("HOST_IP"), os.Getenv("POD_SUBNET")); err != nil {
			log.Printf("retrying: %v", err)
		}
		time.Sleep(period)
	}
}

func reconcile(client kubernetes.Interface, address, podSubnet string) error {
	nodes, err := client.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	var problems []error
	for _, node := range nodes.Items {
		ip := internalIP(node)
		if ip == "" || node.Spec.PodCIDR == "" {
			continue
		}
		if ip == address {
			problems = append(problems, configure(node.Spec.PodCIDR), masquerade(node.Spec.PodCIDR, podSubnet))
		} else {
			problems = append(problems, route(node.Spec.PodCIDR, ip))
		}
	}
	return errors.Join(problems...)
}

func internalIP(node corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	return ""
}

func configure(podCIDR string) error {
	plugins := []any{
		map[string]any{
			"type": "ptp", "ipMasq": false,
			"ipam": map[string]any{
				"type": "host-local", "dataDir": "/run/cni-ipam-state",
				"routes": []any{map[string]string{"dst": "0.0.0.0/0"}},
				"ranges": []any{[]any{map[string]string{"subnet": podCIDR}}},
			},
		},
		map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
	}
	content, err := json.Marshal(map[string]any{"cniVersion": "0.4.0", "name": "kindnet", "plugins": plugins})
	if err != nil {
		return err
	}
	if known, err := os.ReadFile(configuration); err == nil && bytes.Equal(known, content) {
		return nil
	}
	unfinished := filepath.Join(filepath.Dir(configuration), ".kindnet")
	if err := os.WriteFile(unfinished, content, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, configuration)
}

func route(podCIDR, gateway string) error {
	_, subnet, err := net.ParseCIDR(podCIDR)
	if err != nil {
		return err
	}
	return netlink.RouteReplace(&netlink.Route{Dst: subnet, Gw: net.ParseIP(gateway)})
}

func masquerade(podCIDR, podSubnet string) error {
	rule := []string{"POSTROUTING", "--source", podCIDR, "!", "--destination", podSubnet, "--jump", "MASQUERADE"}
	if iptables("--check", rule) == nil {
		return nil
	}
	return iptables("--append", rule)
}

func iptables(command string, rule []string) error {
	return exec.Command("iptables", append([]string{"--wait", "--table", "nat", command}, rule...)...).Run()
}
