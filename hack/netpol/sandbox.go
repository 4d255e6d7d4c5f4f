package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// sandboxes reads the links of pods, and their addresses before the API server has them.
// The kubelet reports an address about a second after the containers have started, and until then a policy could
// neither protect the pod nor allow its connections. The container runtime, however, stores the result of its network
// plugin (libcni's cache, one file per pod and interface) before it starts the first container.
type sandboxes struct {
	folder string // empty: links are not known, and addresses come only from the API server
}

// watchSandboxes sends a notice for each new or deleted result, until the context ends.
func watchSandboxes(ctx context.Context, folder string, changed notice) (sandboxes, error) {
	if folder == "" {
		return sandboxes{}, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return sandboxes{}, fmt.Errorf("--cni-results: %w", err)
	}
	descriptor, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return sandboxes{}, fmt.Errorf("watch %s: %w", folder, err)
	}
	events := os.NewFile(uintptr(descriptor), folder)
	if _, err := unix.InotifyAddWatch(descriptor, folder, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO|unix.IN_DELETE); err != nil {
		_ = events.Close()
		return sandboxes{}, fmt.Errorf("watch %s: %w", folder, err)
	}
	context.AfterFunc(ctx, func() { _ = events.Close() })
	go func() {
		buffer := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
		for {
			if _, err := events.Read(buffer); err != nil {
				return // closed: the context has ended
			}
			changed.send()
		}
	}()
	return sandboxes{folder}, nil
}

// complete returns the pods; pods whose status lacks known addresses are replaced by copies with them.
func (s sandboxes) complete(pods []*corev1.Pod) []*corev1.Pod {
	known := s.results()
	completed := make([]*corev1.Pod, 0, len(pods))
	for _, pod := range pods {
		if addresses := known[pod.UID].addresses; len(pod.Status.PodIPs) == 0 && len(addresses) > 0 {
			pod = pod.DeepCopy()
			for _, address := range addresses {
				pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: address.String()})
			}
		}
		completed = append(completed, pod)
	}
	return completed
}

// links returns the node's interfaces to each pod by namespace/name.
func (s sandboxes) links(pods []*corev1.Pod) map[string][]string {
	known, links := s.results(), map[string][]string{}
	for _, pod := range pods {
		links[pod.Namespace+"/"+pod.Name] = known[pod.UID].links
	}
	return links
}

// result is what the network plugin has made for a pod: its addresses, and the node's interfaces to it.
type result struct {
	addresses []netip.Addr
	links     []string
}

// results reads every result in the folder. A missing or incomplete file is skipped,
// because a notice follows when it is complete.
func (s sandboxes) results() map[types.UID]result {
	results := map[types.UID]result{}
	if s.folder == "" {
		return results
	}
	files, _ := filepath.Glob(filepath.Join(s.folder, "*"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		uid, found := parseResult(content)
		known := results[uid]
		results[uid] = result{append(known.addresses, found.addresses...), append(known.links, found.links...)}
	}
	return results
}

// parseResult reads one file of libcni's cache: the pod and its result, without loopback.
func parseResult(content []byte) (types.UID, result) {
	var cached struct {
		Args   [][2]string `json:"cniArgs"`
		Result struct {
			Interfaces []struct {
				Name    string `json:"name"`
				Sandbox string `json:"sandbox"` // empty: the interface is the node's
			} `json:"interfaces"`
			IPs []struct {
				Address netip.Prefix `json:"address"`
			} `json:"ips"`
		} `json:"result"`
	}
	if json.Unmarshal(content, &cached) != nil {
		return "", result{}
	}
	var uid types.UID
	for _, arg := range cached.Args {
		if arg[0] == "K8S_POD_UID" {
			uid = types.UID(arg[1])
		}
	}
	var found result
	for _, ip := range cached.Result.IPs {
		if !ip.Address.Addr().IsLoopback() {
			found.addresses = append(found.addresses, ip.Address.Addr())
		}
	}
	for _, each := range cached.Result.Interfaces {
		if each.Sandbox == "" {
			found.links = append(found.links, each.Name)
		}
	}
	return uid, found
}
