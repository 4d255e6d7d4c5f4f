package main

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Compile computes the effect of the policies on each pod. The order of the objects does not affect the ruleset.
// Every field has the meaning defined in https://kubernetes.io/docs/concepts/services-networking/network-policies/.
func Compile(
	pods []*corev1.Pod, namespaces []*corev1.Namespace, policies []*networkingv1.NetworkPolicy,
) Ruleset {
	c := compiler{endpoints: endpointsOf(pods, namespaces)}
	policies = slices.SortedFunc(slices.Values(policies), func(a, b *networkingv1.NetworkPolicy) int { return byName(a, b) })
	var ruleset Ruleset
	for _, subject := range c.endpoints {
		rules := c.podRules(subject, policies)
		if rules.Ingress.Isolated || rules.Egress.Isolated {
			ruleset.Pods = append(ruleset.Pods, rules)
		}
	}
	return ruleset
}

// compiler converts the rules of policies to allows; it knows every pod that they may select.
type compiler struct {
	endpoints []endpoint
}

// podRules combines all policies that select the subject.
func (c compiler) podRules(subject endpoint, policies []*networkingv1.NetworkPolicy) PodRules {
	rules := PodRules{Name: subject.pod.Namespace + "/" + subject.pod.Name, Addresses: subject.addresses}
	for _, policy := range policies {
		if policy.Namespace != subject.pod.Namespace || !selects(&policy.Spec.PodSelector, subject.pod.Labels) {
			continue
		}
		ingress, egress := directions(policy)
		if ingress {
			rules.Ingress.Isolated = true
			rules.Ingress.Allows = append(rules.Ingress.Allows, c.ingress(policy, subject)...)
		}
		if egress {
			rules.Egress.Isolated = true
			rules.Egress.Allows = append(rules.Egress.Allows, c.egress(policy)...)
		}
	}
	return rules
}

// directions returns the directions of traffic that a policy isolates.
// Without policyTypes, these are ingress, and also egress if the policy has egress rules.
func directions(policy *networkingv1.NetworkPolicy) (ingress, egress bool) {
	types := policy.Spec.PolicyTypes
	if len(types) == 0 {
		return true, len(policy.Spec.Egress) > 0
	}
	return slices.Contains(types, networkingv1.PolicyTypeIngress), slices.Contains(types, networkingv1.PolicyTypeEgress)
}

// ingress compiles the rules for connections to the subject; its containers define the port names.
func (c compiler) ingress(policy *networkingv1.NetworkPolicy, subject endpoint) []Allow {
	var allows []Allow
	for _, rule := range policy.Spec.Ingress {
		peers := c.peers(policy.Namespace, rule.From)
		ports := numberedPorts(rule.Ports)
		for _, named := range portNames(rule.Ports) {
			ports = append(ports, subject.namedPorts(named.name, named.protocol)...)
		}
		if !peers.empty() && (len(ports) > 0 || len(rule.Ports) == 0) {
			allows = append(allows, Allow{peers, mergePorts(ports)})
		}
	}
	return allows
}

// egress compiles the rules for connections from the pods of a policy.
// A port name can have a different number on each destination, so each destination gets a separate allow.
func (c compiler) egress(policy *networkingv1.NetworkPolicy) []Allow {
	var allows []Allow
	for _, rule := range policy.Spec.Egress {
		peers := c.peers(policy.Namespace, rule.To)
		ports := numberedPorts(rule.Ports)
		if !peers.empty() && (len(ports) > 0 || len(rule.Ports) == 0) {
			allows = append(allows, Allow{peers, mergePorts(ports)})
		}
		for _, named := range portNames(rule.Ports) {
			allows = append(allows, c.namedDestinations(peers, named)...)
		}
	}
	return allows
}

// namedDestinations allows the named port on each pod of the peers that declares it.
// Only pods have named ports, so an address outside the cluster never matches, even if a block contains it.
func (c compiler) namedDestinations(peers Peers, named portName) []Allow {
	var allows []Allow
	for _, destination := range c.endpoints {
		ports := destination.namedPorts(named.name, named.protocol)
		addresses := slices.DeleteFunc(slices.Clone(destination.addresses), func(address netip.Addr) bool {
			return !peers.contains(address)
		})
		if len(ports) > 0 && len(addresses) > 0 {
			allows = append(allows, Allow{Peers{Addresses: addresses}, mergePorts(ports)})
		}
	}
	return allows
}
