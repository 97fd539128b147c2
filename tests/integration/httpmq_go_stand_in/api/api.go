// Package api has the calls on the wire: what the public Go client sends, and what it insists on in an answer.
//
// A stand-in, written from the contract (section 7) and from reading how that client behaves, for where its module cannot be
// had: the same names as far as the scenarios use them, the same transports of the standard library, the same widths of
// numbers. It is stricter than the client: what that one would take silently fails here.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
)

const requestID = "Httpmq-Request-ID"

var (
	isJSON  = regexp.MustCompile(`(?i)(application|text)/json`)
	counter atomic.Int64
)

func PtrString(v string) *string { return &v }
func PtrInt64(v int64) *int64    { return &v }

type ManagementJSStreamLimits struct {
	MaxAge *int64 `json:"max_age,omitempty"`
}

type ManagementJSStreamParam struct {
	Name     string    `json:"name"`
	Subjects *[]string `json:"subjects,omitempty"`
}

type ManagementJetStreamConsumerParam struct {
	DeliveryGroup *string `json:"delivery_group,omitempty"`
	FilterSubject *string `json:"filter_subject,omitempty"`
	MaxInflight   int64   `json:"max_inflight"`
	Mode          string  `json:"mode"`
	Name          string  `json:"name"`
}

type AckNumbers struct {
	Consumer int64 `json:"consumer"`
	Stream   int64 `json:"stream"`
}

// StreamInfo and ConsumerInfo: numbers of 32 bits are the client's.
type StreamInfo struct {
	Config struct {
		Name              string    `json:"name"`
		Description       *string   `json:"description"`
		Subjects          *[]string `json:"subjects"`
		MaxAge            int64     `json:"max_age"`
		MaxBytes          int64     `json:"max_bytes"`
		MaxConsumers      int64     `json:"max_consumers"`
		MaxMsgs           int64     `json:"max_msgs"`
		MaxMsgsPerSubject int64     `json:"max_msgs_per_subject"`
		MaxMsgSize        *int64    `json:"max_msg_size"`
	} `json:"config"`
	Created string `json:"created"`
	State   struct {
		Bytes         int32  `json:"bytes"`
		ConsumerCount int32  `json:"consumer_count"`
		FirstSeq      int32  `json:"first_seq"`
		FirstTs       string `json:"first_ts"`
		LastSeq       int32  `json:"last_seq"`
		LastTs        string `json:"last_ts"`
		Messages      int32  `json:"messages"`
	} `json:"state"`
}

type position struct {
	ConsumerSeq int32   `json:"consumer_seq"`
	StreamSeq   int32   `json:"stream_seq"`
	LastActive  *string `json:"last_active"`
}

type consumerConfig struct {
	AckWait        int64   `json:"ack_wait"`
	DeliverGroup   *string `json:"deliver_group"`
	DeliverSubject *string `json:"deliver_subject"`
	FilterSubject  *string `json:"filter_subject"`
	MaxAckPending  *int64  `json:"max_ack_pending"`
	MaxDeliver     *int64  `json:"max_deliver"`
	MaxWaiting     *int64  `json:"max_waiting"`
	Notes          *string `json:"notes"`
}

func (c consumerConfig) GetMaxAckPending() int64  { return *c.MaxAckPending }
func (c consumerConfig) GetFilterSubject() string { return *c.FilterSubject }

type ConsumerInfo struct {
	AckFloor       position       `json:"ack_floor"`
	Config         consumerConfig `json:"config"`
	Created        string         `json:"created"`
	Delivered      position       `json:"delivered"`
	Name           string         `json:"name"`
	NumAckPending  int32          `json:"num_ack_pending"`
	NumPending     int32          `json:"num_pending"`
	NumRedelivered int32          `json:"num_redelivered"`
	NumWaiting     int32          `json:"num_waiting"`
	StreamName     string         `json:"stream_name"`
}

type failure struct {
	Code    int32   `json:"code"`
	Detail  *string `json:"detail"`
	Message *string `json:"message"`
}

// Envelope is what every answer is; what else it has is read where a payload is asked for.
type Envelope struct {
	Error     *failure `json:"error"`
	RequestID string   `json:"request_id"`
	Success   bool     `json:"success"`
}

// ApisAPIRestRespDataMessage is a line of a subscription.
type ApisAPIRestRespDataMessage struct {
	B64Msg    []byte     `json:"b64_msg"`
	Consumer  string     `json:"consumer"`
	Error     *failure   `json:"error"`
	RequestID string     `json:"request_id"`
	Sequence  AckNumbers `json:"sequence"`
	Stream    string     `json:"stream"`
	Subject   string     `json:"subject"`
	Success   bool       `json:"success"`
}

// Decode takes no null, which the client would take for nothing said.
func Decode(text []byte, into any) error {
	if bytes.Contains(text, []byte(":null")) {
		return fmt.Errorf("a null: %s", text)
	}
	return json.Unmarshal(text, into)
}

type APIClient struct {
	URL  string
	HTTP *http.Client
}

// Ask sends a request with an id of its own; the caller closes the answer's body.
func (c *APIClient) Ask(ctx context.Context, method string, path []string, query url.Values, contentType string,
	body io.Reader) (answer *http.Response, id string, err error) {
	escaped := make([]string, len(path))
	for i, segment := range path {
		escaped[i] = url.PathEscape(segment)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+"/v1/"+strings.Join(escaped, "/"), body)
	if err != nil {
		return nil, "", err
	}
	id = fmt.Sprint("stand-in-", counter.Add(1))
	request.URL.RawQuery = query.Encode()
	request.Header = http.Header{requestID: {id}, "User-Agent": {"OpenAPI-Generator/1.0.0/go"}}
	if contentType != "" {
		request.Header["Content-Type"] = []string{contentType}
	}
	answer, err = c.HTTP.Do(request)
	if err == nil && answer.Header.Get(requestID) != id {
		err = fmt.Errorf("%s %v: request %q answered as %q", method, path, id, answer.Header.Get(requestID))
	}
	return answer, id, err
}

// call returns the id of the request. The payload, if any is wanted, is filled in on success.
func (c *APIClient) call(ctx context.Context, method string, path []string, contentType string, body io.Reader,
	payload any) (string, error) {
	response, id, err := c.Ask(ctx, method, path, nil, contentType, body)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	what := fmt.Sprint(method, " ", path, ": ", response.Status, " ", string(text))
	if status := response.StatusCode; status != 200 && status != 400 && status != 500 {
		panic("a status that the client does not model: " + what)
	}
	var e Envelope
	if err := Decode(text, &e); err != nil || !isJSON.MatchString(response.Header.Get("Content-Type")) {
		panic(fmt.Sprint("an answer that the client does not take: ", err, " ", what))
	}
	if e.RequestID != id || e.Success != (response.StatusCode == 200) || e.Success != (e.Error == nil) {
		panic("an envelope that contradicts itself: " + what)
	}
	if !e.Success {
		return id, fmt.Errorf("refused: %s", what)
	}
	if payload != nil {
		err = Decode(text, payload)
	}
	return id, err
}

// Get asks for a payload; nil: for none.
func (c *APIClient) Get(ctx context.Context, payload any, path ...string) (string, error) {
	return c.call(ctx, "GET", path, "", nil, payload)
}

func (c *APIClient) Delete(ctx context.Context, path ...string) (string, error) {
	return c.call(ctx, "DELETE", path, "", nil, nil)
}

// Send sends a value as the client's encoder writes it: ">" as \u003e, a newline at the end.
func (c *APIClient) Send(ctx context.Context, method string, value any, path ...string) (string, error) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(value); err != nil {
		return "", err
	}
	return c.call(ctx, method, path, "application/json", &body, nil)
}

// SendText sends a body as it is.
func (c *APIClient) SendText(ctx context.Context, text string, path ...string) (string, error) {
	return c.call(ctx, "POST", path, "text/plain", strings.NewReader(text), nil)
}
