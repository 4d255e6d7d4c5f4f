// Netpol enforces the NetworkPolicies of a cluster of one node: the local test node, whose network plugin knows nothing
// of policies. It is a tool for tests and the demo, no part of the operator.
//
//	netpol --kubeconfig PATH [--nft PATH] [--cni-results FOLDER]
//
// It runs as root in the node's network namespace, watches Pods, Namespaces and NetworkPolicies, and keeps one nftables
// table (inet triton_operator_netpol) equal to what they ask for. Objects become a [Ruleset] by [Compile] and a script
// for nft by [Render], both pure; a script is applied as one transaction, and only if it differs from the last one.
// A table left by an earlier run is replaced, and SIGTERM removes it.
//
// Pods must be linked to the node one by one (the CNI plugin ptp), so that the node routes what they exchange. On a bridge
// the answer to a refused connection through a service would lack the service's address, and callers would hang.
//
// Everything of networking.k8s.io/v1 is supported. Refused connections fail at once (reset, or ICMP
// administratively prohibited). Policies see addresses after services are resolved. Connections that are open when a
// policy changes stay open, a pod always reaches itself, and what the node itself sends always passes.
//
// Tests: `NFT=/path/to/nft go test .` as root; without root or nft, those that need a network are skipped and say so.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// removalLimit is how long the removal of the table may take at the end.
const removalLimit = 5 * time.Second

type options struct {
	kubeconfig, nft, cniResults string
}

func main() {
	var chosen options
	flag.StringVar(&chosen.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster (required)")
	flag.StringVar(&chosen.nft, "nft", "nft", "the nft `program`")
	flag.StringVar(&chosen.cniResults, "cni-results", "/var/lib/cni/results",
		"`folder` where the container runtime keeps network results; empty: wait for addresses in pod status")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, chosen, log); err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
}

// run enforces policies until the context ends, then removes the table.
func run(ctx context.Context, chosen options, log *slog.Logger) error {
	client, err := connect(chosen.kubeconfig)
	if err != nil {
		return err
	}
	changed := newNotice()
	sandboxes, err := watchSandboxes(ctx, chosen.cniResults, changed)
	if err != nil {
		return err
	}
	state, err := watchCluster(ctx, client, changed)
	if err != nil {
		return err
	}
	desired := func() Ruleset {
		pods, namespaces, policies := state.objects()
		return Compile(sandboxes.complete(pods), namespaces, policies)
	}
	program := nft{chosen.nft}
	changed.send()
	enforcer{desired, program.run, log}.run(ctx, changed)
	ending, cancel := context.WithTimeout(context.Background(), removalLimit)
	defer cancel()
	log.Info("removing the rules")
	return program.run(ending, Removal)
}

// connect makes a client from a kubeconfig file.
func connect(kubeconfig string) (kubernetes.Interface, error) {
	if kubeconfig == "" {
		return nil, fmt.Errorf("--kubeconfig is missing: give the kubeconfig file of the cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %s: %w", kubeconfig, err)
	}
	return kubernetes.NewForConfig(config)
}
