module triton-operator.io/hack/pause

go 1.25
