package endpoint

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Config makes clients of the endpoint that try nothing twice; a key of twelve digits is an account.
func Config(t *testing.T, accessKey string) aws.Config {
	t.Helper()
	return aws.Config{
		BaseEndpoint: aws.String(URL(t)),
		HTTPClient:   httpClient{awshttp.NewBuildableClient()},
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, "test", ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// httpClient is the SDK's own, but for a request's body that stays open.
//
// The SDK (smithy-go 1.28.8) closes the body of a request as soon as the head of its answer is there. Where net/http has
// written that body and not yet looked for its end, it is told io.EOF by WriteTo, takes that for a failed write and closes
// the connection. What an answer holds beyond the 4 KiB that were read by then is lost: "use of closed network
// connection", in five of a hundred receives of 1 MiB on one machine (aws/aws-sdk-go-v2 issue 2737).
type httpClient struct{ *awshttp.BuildableClient }

// Do sends one request.
func (c httpClient) Do(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.BuildableClient.Do(request)
}
