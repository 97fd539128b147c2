// Package dataplane has the calls of /v1/data.
package dataplane

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/alwitt/httpmq-go/api"
)

type DataAPIWrapper struct{ client *api.APIClient }

type PushSubscribeParam struct {
	Stream, Consumer, SubjectFilter string
	DeliveryGroup                   *string
	MsgChan                         *chan api.ApisAPIRestRespDataMessage
}

type MsgACKParam struct {
	Stream      string
	StreamSeq   int64
	Consumer    string
	ConsumerSeq int64
}

func GetDataAPIWrapper(client *api.APIClient) DataAPIWrapper { return DataAPIWrapper{client} }

func (d DataAPIWrapper) Ready(ctx context.Context) error {
	_, err := d.client.Get(ctx, nil, "data", "ready")
	return err
}

func (d DataAPIWrapper) Publish(ctx context.Context, subject string, message []byte) (string, error) {
	return d.client.SendText(ctx, base64.StdEncoding.EncodeToString(message), "data", "subject", subject)
}

func (d DataAPIWrapper) SendACK(ctx context.Context, p MsgACKParam) (string, error) {
	numbers := api.AckNumbers{Stream: p.StreamSeq, Consumer: p.ConsumerSeq}
	return d.client.Send(ctx, "POST", numbers, "data", "stream", p.Stream, "consumer", p.Consumer, "ack")
}

// PushSubscribe reads lines of at most 64 KiB, whatever the status is, until the end, a failure, or a line that is no message.
func (d DataAPIWrapper) PushSubscribe(ctx context.Context, p PushSubscribeParam) (string, error) {
	query := url.Values{"subject_name": {p.SubjectFilter}}
	if p.DeliveryGroup != nil {
		query["delivery_group"] = []string{*p.DeliveryGroup}
	}
	response, id, err := d.client.Ask(ctx, "GET", []string{"data", "stream", p.Stream, "consumer", p.Consumer}, query, "", nil)
	if err != nil {
		return id, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		var m api.ApisAPIRestRespDataMessage
		if err := api.Decode(lines.Bytes(), &m); err != nil {
			return id, fmt.Errorf("a line %q: %w", lines.Text(), err)
		}
		if m.RequestID != id || !m.Success {
			return id, fmt.Errorf("a line that ends the subscription: %s", lines.Text())
		}
		*p.MsgChan <- m
	}
	return id, lines.Err()
}
