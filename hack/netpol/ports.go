package main

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// portName is a named port, which is resolved on the destination pod.
type portName struct {
	name     string
	protocol corev1.Protocol
}

func portNames(ports []networkingv1.NetworkPolicyPort) []portName {
	var names []portName
	for _, port := range ports {
		if port.Port != nil && port.Port.Type == intstr.String {
			names = append(names, portName{port.Port.StrVal, protocolOf(port)})
		}
	}
	return names
}

// numberedPorts reads the ports with a number or a range (endPort); a missing port means every port.
func numberedPorts(ports []networkingv1.NetworkPolicyPort) []PortRange {
	var ranges []PortRange
	for _, port := range ports {
		switch {
		case port.Port == nil:
			ranges = append(ranges, PortRange{protocolOf(port), 0, lastPort})
		case port.Port.Type == intstr.Int:
			first := uint16(port.Port.IntVal)
			last := first
			if port.EndPort != nil {
				last = uint16(*port.EndPort)
			}
			ranges = append(ranges, PortRange{protocolOf(port), first, last})
		}
	}
	return ranges
}

func protocolOf(port networkingv1.NetworkPolicyPort) corev1.Protocol {
	if port.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return *port.Protocol
}

// mergePorts sorts ranges and merges adjacent ones of one protocol, because nft rejects overlapping intervals.
func mergePorts(ranges []PortRange) []PortRange {
	slices.SortFunc(ranges, func(a, b PortRange) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.First, b.First))
	})
	var merged []PortRange
	for _, next := range ranges {
		last := len(merged) - 1
		if last >= 0 && merged[last].Protocol == next.Protocol && int(next.First) <= int(merged[last].Last)+1 {
			merged[last].Last = max(merged[last].Last, next.Last)
			continue
		}
		merged = append(merged, next)
	}
	return merged
}
