module triton-operator.io/hack/tools/containerd

go 1.26.0

require github.com/containerd/containerd/v2 v2.4.2

tool github.com/containerd/containerd/v2/cmd/containerd
