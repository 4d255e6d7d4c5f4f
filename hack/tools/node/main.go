// Command node is every server program of the local Kubernetes node in one
// binary: it becomes the program whose name it was called by (argv[0], through
// a symbolic link), as busybox does. One binary shares the compiled Kubernetes
// libraries, which halves build time and disk against six separate ones.
//
// hack/programs/gobuild.py builds it and makes the links.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps the name the binary is called by to what it then does. Each
// function ends the process itself.
var programs = map[string]func(){
	"coredns":                 runCoreDNS,
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          func() { runCommand(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() { runCommand(controllermanager.NewControllerManagerCommand()) },
	"kube-proxy":              func() { runCommand(proxy.NewProxyCommand()) },
	"kube-scheduler":          func() { runCommand(scheduler.NewSchedulerCommand()) },
	"kubelet":                 func() { runCommand(kubelet.NewKubeletCommand(context.Background())) },
}

func main() {
	name := filepath.Base(os.Args[0])
	run, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "%s: call this binary through a link named %s\n", name, strings.Join(programNames(), ", "))
		os.Exit(2)
	}
	run()
}

func programNames() []string {
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func runCommand(command *cobra.Command) {
	os.Exit(cli.Run(command))
}

// runCoreDNS serves cluster names only: there is no forward plugin on purpose,
// the node has no way out and names outside the cluster should fail at once.
// The order of the directives is the order in which plugins see a query.
func runCoreDNS() {
	dnsserver.Directives = []string{"errors", "health", "ready", "cache", "kubernetes"}
	coremain.Run()
}
