package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// clusterState is a copy of the objects that determine the rules, kept up to date by watches.
type clusterState struct {
	factory informers.SharedInformerFactory
}

// watchCluster starts the watches and returns when they have received every object once.
// After that, each change sends a notice. It waits without a limit until the API server responds.
func watchCluster(ctx context.Context, client kubernetes.Interface, changed notice) (clusterState, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed.send() },
		UpdateFunc: func(any, any) { changed.send() },
		DeleteFunc: func(any) { changed.send() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Pods().Informer(),
		factory.Core().V1().Namespaces().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return clusterState{}, fmt.Errorf("watch the cluster: %w", err)
		}
	}
	factory.Start(ctx.Done())
	for _, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return clusterState{}, errors.New("ended before the API server had answered")
		}
	}
	return clusterState{factory}, nil
}

// objects returns the current objects. They are shared and must not be changed.
func (s clusterState) objects() ([]*corev1.Pod, []*corev1.Namespace, []*networkingv1.NetworkPolicy) {
	// Listing a local copy with the selector for everything cannot fail.
	pods, _ := s.factory.Core().V1().Pods().Lister().List(labels.Everything())
	namespaces, _ := s.factory.Core().V1().Namespaces().Lister().List(labels.Everything())
	policies, _ := s.factory.Networking().V1().NetworkPolicies().Lister().List(labels.Everything())
	return pods, namespaces, policies
}
