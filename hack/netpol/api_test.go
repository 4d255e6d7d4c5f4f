package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fakeAPI is the part of an API server that a watch needs: it streams existing objects and then changes.
type fakeAPI struct {
	lock    sync.Mutex
	version int
	stored  map[string][]event        // by the path of a collection
	streams map[string][]chan<- event // watches of a collection
}

type event struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

const (
	podsPath       = "/api/v1/pods"
	namespacesPath = "/api/v1/namespaces"
	policiesPath   = "/apis/networking.k8s.io/v1/networkpolicies"
)

// typeMeta names the kind of a collection's objects.
var typeMeta = map[string]metav1.TypeMeta{
	podsPath:       {APIVersion: "v1", Kind: "Pod"},
	namespacesPath: {APIVersion: "v1", Kind: "Namespace"},
	policiesPath:   {APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
}

// serveAPI listens on the loopback of the network and returns a kubeconfig for it.
func serveAPI(t *testing.T, network netns) (*fakeAPI, string) {
	t.Helper()
	api := &fakeAPI{stored: map[string][]event{}, streams: map[string][]chan<- event{}}
	var listener net.Listener
	network.must(t, func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	server := &http.Server{Handler: api} //nolint:gosec // a test's own loopback needs no time-outs
	t.Cleanup(func() { _ = server.Close() })
	go server.Serve(listener) //nolint:errcheck // ends with the test
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}],
		clusters: [{name: c, cluster: {server: "http://%s"}}]}`, listener.Addr())
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return api, path
}

// add stores an object in its collection and notifies the watches.
func (a *fakeAPI) add(object metav1.Object) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.version++
	object.SetResourceVersion(strconv.Itoa(a.version))
	var path string
	switch typed := object.(type) {
	case *corev1.Pod:
		path, typed.TypeMeta = podsPath, typeMeta[podsPath]
	case *corev1.Namespace:
		path, typed.TypeMeta = namespacesPath, typeMeta[namespacesPath]
	case *networkingv1.NetworkPolicy:
		path, typed.TypeMeta = policiesPath, typeMeta[policiesPath]
	}
	added := event{"ADDED", object}
	a.stored[path] = append(a.stored[path], added)
	for _, stream := range a.streams[path] {
		stream <- added
	}
}

// ServeHTTP serves watches that request the initial state; other requests fail with 404.
func (a *fakeAPI) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	if request.URL.Query().Get("sendInitialEvents") != "true" {
		http.NotFound(response, request)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	encoder, flusher := json.NewEncoder(response), response.(http.Flusher)
	present, stream := a.subscribe(request.URL.Path)
	for _, added := range present {
		_ = encoder.Encode(added)
	}
	flusher.Flush()
	for {
		select {
		case <-request.Context().Done():
			return
		case added := <-stream:
			_ = encoder.Encode(added)
			flusher.Flush()
		}
	}
}

// subscribe returns the existing objects, followed by the bookmark that marks their end, and a stream of changes.
func (a *fakeAPI) subscribe(path string) ([]event, <-chan event) {
	a.lock.Lock()
	defer a.lock.Unlock()
	bookmark := event{"BOOKMARK", map[string]any{
		"apiVersion": typeMeta[path].APIVersion, "kind": typeMeta[path].Kind,
		"metadata": map[string]any{
			"resourceVersion": strconv.Itoa(a.version),
			"annotations":     map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		},
	}}
	stream := make(chan event, 64)
	a.streams[path] = append(a.streams[path], stream)
	return append(slices.Clone(a.stored[path]), bookmark), stream
}
