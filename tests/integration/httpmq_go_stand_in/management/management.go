// Package management has the calls of /v1/admin.
package management

import (
	"context"

	"github.com/alwitt/httpmq-go/api"
)

type MgmtAPIWrapper struct{ client *api.APIClient }

func GetMgmtAPIWrapper(client *api.APIClient) MgmtAPIWrapper { return MgmtAPIWrapper{client} }

func (m MgmtAPIWrapper) Ready(ctx context.Context) error {
	_, err := m.client.Get(ctx, nil, "admin", "ready")
	return err
}

func (m MgmtAPIWrapper) CreateStream(ctx context.Context, p api.ManagementJSStreamParam) (string, error) {
	return m.client.Send(ctx, "POST", p, "admin", "stream")
}

func (m MgmtAPIWrapper) ListAllStreams(ctx context.Context) (string, map[string]api.StreamInfo, error) {
	var shown struct {
		Streams map[string]api.StreamInfo `json:"streams"`
	}
	id, err := m.client.Get(ctx, &shown, "admin", "stream")
	return id, shown.Streams, err
}

func (m MgmtAPIWrapper) GetStream(ctx context.Context, stream string) (string, *api.StreamInfo, error) {
	var shown struct {
		Stream *api.StreamInfo `json:"stream"`
	}
	id, err := m.client.Get(ctx, &shown, "admin", "stream", stream)
	return id, shown.Stream, err
}

func (m MgmtAPIWrapper) ChangeStreamSubjects(ctx context.Context, stream string, subjects []string) (string, error) {
	return m.client.Send(ctx, "PUT", map[string][]string{"subjects": subjects}, "admin", "stream", stream, "subject")
}

func (m MgmtAPIWrapper) UpdateStreamLimits(ctx context.Context, stream string, l api.ManagementJSStreamLimits) (string, error) {
	return m.client.Send(ctx, "PUT", l, "admin", "stream", stream, "limit")
}

func (m MgmtAPIWrapper) DeleteStream(ctx context.Context, stream string) (string, error) {
	return m.client.Delete(ctx, "admin", "stream", stream)
}

func (m MgmtAPIWrapper) CreateConsumerForStream(ctx context.Context, stream string,
	p api.ManagementJetStreamConsumerParam) (string, error) {
	return m.client.Send(ctx, "POST", p, "admin", "stream", stream, "consumer")
}

func (m MgmtAPIWrapper) ListAllConsumerOfStream(ctx context.Context, stream string) (string, map[string]api.ConsumerInfo, error) {
	var shown struct {
		Consumers map[string]api.ConsumerInfo `json:"consumers"`
	}
	id, err := m.client.Get(ctx, &shown, "admin", "stream", stream, "consumer")
	return id, shown.Consumers, err
}

func (m MgmtAPIWrapper) GetConsumerOfStream(ctx context.Context, stream, name string) (string, *api.ConsumerInfo, error) {
	var shown struct {
		Consumer *api.ConsumerInfo `json:"consumer"`
	}
	id, err := m.client.Get(ctx, &shown, "admin", "stream", stream, "consumer", name)
	return id, shown.Consumer, err
}

func (m MgmtAPIWrapper) DeleteConsumerOnStream(ctx context.Context, stream, name string) (string, error) {
	return m.client.Delete(ctx, "admin", "stream", stream, "consumer", name)
}
