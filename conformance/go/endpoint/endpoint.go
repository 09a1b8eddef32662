// Package endpoint knows the endpoint under test, and moves its clock.
package endpoint

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"testing"
)

// URL is where the endpoint listens: POSTHASTE_ENDPOINT.
func URL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("POSTHASTE_ENDPOINT")
	if url == "" {
		t.Fatal("set POSTHASTE_ENDPOINT, or run under conformance/with-server")
	}
	return url
}

// Advance lets so many seconds pass; where the endpoint's clock cannot be moved, the test is skipped.
func Advance(t *testing.T, seconds int) {
	t.Helper()
	health, err := http.Get(URL(t) + "/_posthaste/health")
	if err != nil || health.StatusCode != http.StatusOK {
		t.Skip("this endpoint has no clock that can be moved")
	}
	health.Body.Close()
	order := fmt.Appendf(nil, `{"advance": "%ds"}`, seconds)
	answer, err := http.Post(URL(t)+"/_posthaste/clock", "application/json", bytes.NewReader(order))
	if err != nil || answer.StatusCode/100 != 2 {
		t.Skip("this endpoint has no clock that can be moved")
	}
	answer.Body.Close()
}
