package main

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// endpoint is a pod as policies see it: its labels, those of its namespace, and its addresses.
type endpoint struct {
	pod             *corev1.Pod
	namespaceLabels labels.Set
	addresses       []netip.Addr
}

// endpointsOf lists the pods that policies can isolate or select as peers, ordered by namespace and name.
// Pods on the node's network share its address, so a policy can neither isolate nor select them.
// Terminated pods have released their address; if two pods still have the same one, it belongs to the newer pod.
func endpointsOf(pods []*corev1.Pod, namespaces []*corev1.Namespace) []endpoint {
	namespaceLabels := make(map[string]labels.Set, len(namespaces))
	for _, namespace := range namespaces {
		namespaceLabels[namespace.Name] = namespace.Labels
	}
	var endpoints []endpoint
	claimed := map[netip.Addr]bool{}
	for _, pod := range slices.SortedFunc(slices.Values(pods), newestFirst) {
		if pod.Spec.HostNetwork || ended(pod) {
			continue
		}
		addresses := slices.DeleteFunc(addressesOf(pod), func(address netip.Addr) bool { return claimed[address] })
		for _, address := range addresses {
			claimed[address] = true
		}
		if len(addresses) > 0 {
			endpoints = append(endpoints, endpoint{pod, namespaceLabels[pod.Namespace], addresses})
		}
	}
	slices.SortFunc(endpoints, func(a, b endpoint) int { return byName(a.pod, b.pod) })
	return endpoints
}

func newestFirst(a, b *corev1.Pod) int {
	return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), byName(a, b))
}

// byName orders objects of one kind by namespace and name.
func byName(a, b metav1.Object) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func addressesOf(pod *corev1.Pod) []netip.Addr {
	var addresses []netip.Addr
	for _, podIP := range pod.Status.PodIPs {
		if address, err := netip.ParseAddr(podIP.IP); err == nil {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// namedPorts lists the ports that the pod's containers declare under this name and protocol.
// Init containers count only if they run alongside the others (restartPolicy Always).
func (e endpoint) namedPorts(name string, protocol corev1.Protocol) []PortRange {
	var ranges []PortRange
	for _, container := range e.runningContainers() {
		for _, port := range container.Ports {
			if port.Name == name && cmp.Or(port.Protocol, corev1.ProtocolTCP) == protocol {
				ranges = append(ranges, PortRange{protocol, uint16(port.ContainerPort), uint16(port.ContainerPort)})
			}
		}
	}
	return ranges
}

func (e endpoint) runningContainers() []corev1.Container {
	containers := slices.Clone(e.pod.Spec.Containers)
	for _, container := range e.pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			containers = append(containers, container)
		}
	}
	return containers
}

// selects reports whether a label selector matches the labels; an empty selector matches everything.
// The API server rejects invalid selectors; an invalid selector matches nothing.
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}
