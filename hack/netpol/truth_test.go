package main

// truth is one row of the truth table: the connections that a set of policies allows and refuses.
type truth struct {
	name     string
	policies []string // one line of YAML each: "namespace: {spec}"
	allowed  []string // "source destination:port[/protocol]"
	refused  []string
}

// truthTable is checked twice: with the compiler alone, and on a real network with nft.
var truthTable = []truth{
	{
		"without policies everything passes", nil,
		[]string{"bank/web shop/web:8000", "shop/web shop/cart:8001", "outside shop/web:8000", "shop/web node:8000", "shop/web outside:8000", "node shop/web:8000", "bank/web shop/web:5353/udp", "bank/web service:80", "bank/web service:53/udp", "bank/web@6 shop/web@6:8000"},
		nil,
	},
	{
		"default deny of ingress closes every pod of its namespace, and no other",
		[]string{"shop: {podSelector: {}, policyTypes: [Ingress]}"},
		[]string{"shop/web bank/web:8000", "shop/web outside:8000", "shop/web node:8000", "outside bank/web:8000"},
		[]string{"bank/web shop/web:8000", "shop/cart shop/web:8000", "outside shop/web:8000", "bank/web shop/web:5353/udp", "bank/web service:80", "bank/web service:53/udp", "bank/web@6 shop/web@6:8000", "bank/web shop/web:8000/sctp"},
	},
	{
		"the node reaches isolated pods, as kubelet's probes must",
		[]string{"shop: {podSelector: {}, policyTypes: [Ingress, Egress]}"},
		[]string{"node shop/web:8000", "node shop/cart:8001", "node shop/web:5353/udp", "node service:80"}, nil,
	},
	{
		"a pod reaches itself, whatever the policies say",
		[]string{"shop: {podSelector: {}, policyTypes: [Ingress, Egress]}"},
		[]string{"shop/web shop/web:8000", "shop/web@6 shop/web@6:8000", "shop/web service:80"}, nil,
	},
	{
		"default deny of egress closes what the pods open, not what comes in",
		[]string{"shop: {podSelector: {}, policyTypes: [Egress]}"},
		[]string{"bank/web shop/web:8000", "outside shop/web:8000"},
		[]string{"shop/web bank/web:8000", "shop/web shop/cart:8001", "shop/web outside:8000", "shop/web outside:5353/udp", "shop/web@6 bank/web@6:8000"},
	},
	{
		"egress to the node's own address is judged too",
		[]string{"shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.99.0.1/32}}], ports: [{port: 8000}]}]}"},
		[]string{"shop/web node:8000", "shop/cart node:8001"},
		[]string{"shop/web node:8001", "shop/web node:8000/udp", "shop/web outside:8000"},
	},
	{
		"default deny of both directions",
		[]string{"shop: {podSelector: {}, policyTypes: [Ingress, Egress]}"},
		[]string{"bank/web bank/teller:8000"},
		[]string{"bank/web shop/web:8000", "shop/web bank/web:8000", "shop/web shop/cart:8001", "shop/web node:8000"},
	},
	{
		"only the selected pods are isolated",
		[]string{"shop: {podSelector: {matchLabels: {app: web}}}"},
		[]string{"bank/web shop/cart:8000", "outside shop/cart:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"a policy does not select pods of other namespaces with the same labels",
		[]string{"bank: {podSelector: {matchLabels: {app: web}}}"},
		[]string{"bank/teller shop/web:8000"},
		[]string{"bank/teller bank/web:8000", "shop/web bank/web:8000"},
	},
	{
		"the pods are selected by expressions too",
		[]string{"shop: {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [cart]}]}}"},
		[]string{"bank/web shop/cart:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"without policyTypes a policy is about ingress",
		[]string{"shop: {podSelector: {}}"},
		[]string{"shop/web bank/web:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"without policyTypes egress rules make it about egress as well",
		[]string{"shop: {podSelector: {}, egress: [{to: [{podSelector: {}}]}]}"},
		nil,
		[]string{"shop/web bank/web:8000", "bank/web shop/web:8000", "shop/web shop/cart:8001"},
	},
	{
		"policyTypes of egress alone leave ingress open",
		[]string{"shop: {podSelector: {}, policyTypes: [Egress], ingress: [{from: [{podSelector: {}}]}]}"},
		[]string{"bank/web shop/web:8000"},
		[]string{"shop/web bank/web:8000"},
	},
	{
		"policyTypes of ingress alone leave egress open, even with egress rules",
		[]string{"shop: {podSelector: {}, policyTypes: [Ingress], egress: [{to: [{podSelector: {}}]}]}"},
		[]string{"shop/web bank/web:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"an empty rule allows everyone everything",
		[]string{"shop: {podSelector: {}, ingress: [{}]}"},
		[]string{"bank/web shop/web:8000", "outside shop/web:8001", "bank/web shop/web:5353/udp", "bank/web@6 shop/web@6:8000", "bank/web shop/web:8000/sctp"}, nil,
	},
	{
		"an empty egress rule allows everything",
		[]string{"shop: {podSelector: {}, policyTypes: [Egress], egress: [{}]}"},
		[]string{"shop/web bank/web:8000", "shop/web outside:8000", "shop/web node:8000", "shop/web bank/web:5353/udp", "shop/web@6 bank/web@6:8000"}, nil,
	},
	{
		"an empty list of rules allows nothing",
		[]string{"shop: {podSelector: {}, ingress: []}"}, nil,
		[]string{"bank/web shop/web:8000"},
	},
	{
		"an empty from allows everyone, on the given ports",
		[]string{"shop: {podSelector: {}, ingress: [{from: [], ports: [{port: 8000}]}]}"},
		[]string{"bank/web shop/web:8000", "outside shop/web:8000", "bank/web service:80"},
		[]string{"bank/web shop/web:8001", "bank/web shop/web:8000/udp"},
	},
	{
		"an empty to allows every destination, on the given ports",
		[]string{"shop: {podSelector: {}, policyTypes: [Egress], egress: [{to: [], ports: [{port: 5353, protocol: UDP}]}]}"},
		[]string{"shop/web bank/web:5353/udp", "shop/web outside:5353/udp", "shop/web node:5353/udp"},
		[]string{"shop/web bank/web:5353", "shop/web bank/web:8000/udp"},
	},
	{
		"an empty pod selector as peer is every pod of the policy's namespace",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"},
		[]string{"shop/cart shop/web:8000", "shop/cart@6 shop/web@6:8000"},
		[]string{"bank/web shop/web:8000", "outside shop/web:8000"},
	},
	{
		"a pod selector as peer stays in the policy's namespace",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"},
		[]string{"shop/web shop/cart:8000"},
		[]string{"bank/web shop/cart:8000", "shop/cart shop/web:8000"},
	},
	{
		"an empty namespace selector is every pod, but not the world",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"},
		[]string{"bank/web shop/web:8000", "shop/cart shop/web:8000"},
		[]string{"outside shop/web:8000"},
	},
	{
		"a namespace selector picks all pods of the namespaces with these labels",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}}]}]}"},
		[]string{"bank/web shop/web:8000", "bank/teller shop/web:8000"},
		[]string{"shop/cart shop/web:8000"},
	},
	{
		"a namespace selector by expression",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: audited, operator: DoesNotExist}]}}]}]}"},
		[]string{"shop/cart shop/web:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"both selectors in one peer must both match",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {app: web}}}]}]}"},
		[]string{"bank/web shop/cart:8000"},
		[]string{"bank/teller shop/cart:8000", "shop/web shop/cart:8000"},
	},
	{
		"both selectors in two peers: either matches",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}}, {podSelector: {matchLabels: {app: web}}}]}]}"},
		[]string{"bank/web shop/cart:8000", "bank/teller shop/cart:8000", "shop/web shop/cart:8000"},
		[]string{"shop/cart shop/web:8000"},
	},
	{
		"peers that pick no pod allow nobody, not everybody",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: nobody}}}]}], egress: [{to: [{namespaceSelector: {matchLabels: {team: nobody}}}]}], policyTypes: [Ingress, Egress]}"},
		nil,
		[]string{"shop/cart shop/web:8000", "outside shop/web:8000", "shop/web outside:8000"},
	},
	{
		"egress to selected pods",
		[]string{"shop: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {app: teller}}}]}]}"},
		[]string{"shop/web bank/teller:8000", "shop/cart bank/teller:5353/udp"},
		[]string{"shop/web bank/web:8000", "shop/web outside:8000"},
	},
	{
		"egress through a service is egress to its pods",
		[]string{"bank: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: sales}}}], ports: [{port: 8000}]}]}"},
		[]string{"bank/web service:80", "bank/web shop/web:8000"},
		[]string{"bank/web shop/web:8001"},
	},
	{
		"a block of addresses outside",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"},
		[]string{"outside shop/web:8000", "outside-other shop/web:8000", "outside shop/web:5353/udp"},
		[]string{"bank/web shop/web:8000", "bank/web@6 shop/web@6:8000"},
	},
	{
		"a block without its exceptions, also when they overlap",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26, 192.0.2.77/32]}}]}]}"},
		[]string{"outside shop/web:8000"},
		[]string{"outside-other shop/web:8000"},
	},
	{
		"an exception of one peer is no exception of another",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26]}}, {ipBlock: {cidr: 192.0.2.77/32}}]}]}"},
		[]string{"outside shop/web:8000", "outside-other shop/web:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"the block of all IPv4 addresses",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"},
		[]string{"outside shop/web:8000", "bank/web shop/web:8000"},
		[]string{"bank/web@6 shop/web@6:8000"},
	},
	{
		"the block of all IPv6 addresses, without one",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: '::/0', except: ['fd00:244::22/128']}}]}]}"},
		[]string{"bank/web@6 shop/web@6:8000", "shop/cart@6 shop/web@6:8000"},
		[]string{"bank/teller@6 shop/web@6:8000", "bank/web shop/web:8000"},
	},
	{
		"a block that holds pods is about their addresses",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.16/28}}]}]}"},
		[]string{"bank/web shop/web:8000"},
		[]string{"shop/cart shop/web:8000", "outside shop/web:8000"},
	},
	{
		"egress to a block with exceptions and ports",
		[]string{"shop: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.77/32]}}], ports: [{port: 8000}]}]}"},
		[]string{"shop/web outside:8000"},
		[]string{"shop/web outside-other:8000", "shop/web outside:8001", "shop/web bank/web:8000"},
	},
	{
		"a block that is not written at its first address",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.10/26}}]}]}"},
		[]string{"outside shop/web:8000"},
		[]string{"outside-other shop/web:8000"},
	},
	{
		"several ports of several protocols",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: 8000}, {port: 8001, protocol: TCP}, {port: 5353, protocol: UDP}, {port: 8002, protocol: SCTP}]}]}"},
		[]string{"bank/web shop/web:8000", "bank/web shop/web:8001", "bank/web shop/web:5353/udp", "bank/web shop/web:8002/sctp"},
		[]string{"bank/web shop/web:8002", "bank/web shop/web:5353", "bank/web shop/web:8000/udp", "bank/web shop/web:8000/sctp"},
	},
	{
		"a protocol without a port is every port of it",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"},
		[]string{"bank/web shop/web:5353/udp", "bank/web shop/web:8000/udp"},
		[]string{"bank/web shop/web:8000", "bank/web shop/web:8000/sctp"},
	},
	{
		"a port entry that says nothing is all of TCP",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{}]}]}"},
		[]string{"bank/web shop/web:8000", "bank/web shop/web:5353"},
		[]string{"bank/web shop/web:5353/udp"},
	},
	{
		"a range of ports ends with endPort",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: 8001, endPort: 8002}]}]}"},
		[]string{"bank/web shop/web:8001", "bank/web shop/web:8002"},
		[]string{"bank/web shop/web:8000", "bank/web shop/web:8003", "bank/web shop/web:8001/udp"},
	},
	{
		"ranges of ports may overlap",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: 8001, endPort: 8002}, {port: 8002, endPort: 8003}, {port: 8002}, {port: 5353, endPort: 5353, protocol: UDP}]}]}"},
		[]string{"bank/web shop/web:8001", "bank/web shop/web:8002", "bank/web shop/web:8003", "bank/web shop/web:5353/udp"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"ports and peers of a rule must both match",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8000}]}]}"},
		[]string{"shop/cart shop/web:8000"},
		[]string{"shop/cart shop/web:8001", "bank/web shop/web:8000"},
	},
	{
		"two rules are two alternatives, and do not mix",
		[]string{"shop: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8000}]}, {from: [{namespaceSelector: {matchLabels: {team: money}}}], ports: [{port: 8001}]}]}"},
		[]string{"shop/cart shop/web:8000", "bank/web shop/web:8001"},
		[]string{"shop/cart shop/web:8001", "bank/web shop/web:8000"},
	},
	{
		"a port name means what each selected pod calls so",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: http}]}]}"},
		[]string{"bank/web shop/web:8000", "bank/web shop/cart:8001", "bank/web@6 shop/web@6:8000"},
		[]string{"bank/web shop/web:8001", "bank/web shop/cart:8000"},
	},
	{
		"a port name of the second container",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: metrics}]}]}"},
		[]string{"bank/web shop/web:8002"},
		[]string{"bank/web shop/web:8000", "bank/web shop/cart:8002"},
	},
	{
		"a port name goes with its protocol",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: dns, protocol: UDP}, {port: http, protocol: UDP}]}]}"},
		[]string{"bank/web shop/web:5353/udp"},
		[]string{"bank/web shop/web:5353", "bank/web shop/web:8000", "bank/web shop/web:8000/udp"},
	},
	{
		"a port name that no container has allows nothing, not everything",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: nothing}]}], egress: [{ports: [{port: nothing}]}], policyTypes: [Ingress, Egress]}"},
		nil,
		[]string{"bank/web shop/web:8000", "shop/web bank/web:8000", "shop/web outside:8000"},
	},
	{
		"a port name next to a number",
		[]string{"shop: {podSelector: {}, ingress: [{ports: [{port: http}, {port: 8003}]}]}"},
		[]string{"bank/web shop/web:8000", "bank/web shop/web:8003", "bank/web shop/cart:8001", "bank/web shop/cart:8003"},
		[]string{"bank/web shop/web:8002", "bank/web shop/cart:8000"},
	},
	{
		"a port name in egress means what each destination calls so",
		[]string{"shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: http}]}]}"},
		[]string{"shop/web shop/cart:8001", "shop/web bank/teller:8002"},
		[]string{"shop/web shop/cart:8000", "shop/web bank/teller:8001", "shop/web bank/web:8000"},
	},
	{
		"a port name in egress to anyone is about pods that have it",
		[]string{"shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}"},
		[]string{"shop/web shop/cart:8001", "shop/web bank/teller:8002"},
		[]string{"shop/web outside:8000", "shop/web outside:8001", "shop/web bank/web:8000"},
	},
	{
		"a port name in egress to a block is about the pods in it",
		[]string{"shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.0.0/16, except: [10.244.0.12/32]}}], ports: [{port: http}]}]}"},
		[]string{"shop/web bank/teller:8002"},
		[]string{"shop/web shop/cart:8001", "shop/web@6 bank/teller@6:8002"},
	},
	{
		"ports of containers that ran before the others do not count",
		[]string{"bank: {podSelector: {}, ingress: [{ports: [{port: once}]}]}"}, nil,
		[]string{"shop/web bank/teller:8001"},
	},
	{
		"several policies of one pod add up",
		[]string{
			"shop: {podSelector: {}}",
			"shop: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: cart}}}]}]}",
			"shop: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}}], ports: [{port: 8002}]}]}",
		},
		[]string{"shop/cart shop/web:8000", "bank/web shop/web:8002"},
		[]string{"bank/web shop/web:8000", "shop/web shop/cart:8001", "outside shop/web:8000"},
	},
	{
		"one policy for egress and one for ingress of the same pods",
		[]string{
			"shop: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}",
			"shop: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 8001}]}]}",
		},
		[]string{"shop/web shop/cart:8001", "shop/web bank/web:8001"},
		[]string{"shop/web shop/cart:8000", "bank/web shop/web:8001"},
	},
	{
		"a connection needs the leave of its source and of its destination",
		[]string{
			"shop: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 8000, endPort: 8001}]}]}",
			"bank: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 8001, endPort: 8002}]}]}",
		},
		[]string{"shop/web bank/web:8001", "bank/teller bank/web:8002"},
		[]string{"shop/web bank/web:8000", "shop/web bank/web:8002", "outside bank/web:8001"},
	},
	{
		"a policy of another namespace opens nothing here",
		[]string{
			"shop: {podSelector: {}, policyTypes: [Ingress]}",
			"bank: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}",
		},
		[]string{"shop/web bank/web:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"pods on the node's network are neither isolated nor peers",
		[]string{
			"shop: {podSelector: {matchLabels: {app: agent}}, policyTypes: [Ingress, Egress]}",
			"bank: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: sales}}}]}]}",
		},
		[]string{"shop/web node:8000", "outside node:8000", "node outside:8000", "bank/web shop/web:8000"},
		[]string{"bank/web node:8000"},
	},
	{
		"an ended pod's address is no longer its own",
		[]string{
			"shop: {podSelector: {matchLabels: {app: done}}, policyTypes: [Ingress, Egress]}",
			"shop: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: done}}}]}]}",
		},
		[]string{"shop/web bank/web:8000", "bank/web shop/cart:8000"},
		[]string{"bank/web shop/web:8000"},
	},
	{
		"an address that two pods claim is the newer one's",
		[]string{"shop: {podSelector: {matchLabels: {app: stale}}, policyTypes: [Ingress, Egress]}"},
		[]string{"shop/web bank/teller:8000", "bank/teller shop/web:8000"}, nil,
	},
	{
		"a private model server: metrics from one namespace, inference from its own, health from the node, no egress",
		[]string{"shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], egress: [], ingress: [{from: [{podSelector: {}}], ports: [{port: 8443}]}, {from: [{namespaceSelector: {matchLabels: {team: money}}}], ports: [{port: metrics}]}]}"},
		[]string{"shop/cart shop/web:8443", "bank/web shop/web:8002", "node shop/web:8003"},
		[]string{"shop/cart shop/web:8002", "shop/cart shop/web:8003", "bank/web shop/web:8443", "shop/cart service:80", "bank/web service:80", "shop/web outside:8000", "shop/web shop/cart:8001", "shop/web node:8000"},
	},
}
