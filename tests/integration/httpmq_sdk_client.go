// The acceptance scenarios of the httpmq contract (section 8), with the public Go client: httpmq_sdk_client URL h1|h2
//
// A program of its own: test_httpmq_sdk.py makes a module around it, with the client from its registry.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alwitt/httpmq-go/api"
	"github.com/alwitt/httpmq-go/common"
	"github.com/alwitt/httpmq-go/dataplane"
	"github.com/alwitt/httpmq-go/management"
)

const patience = 15 * time.Second

var (
	background = context.Background()
	admin      management.MgmtAPIWrapper
	data       dataplane.DataAPIWrapper
)

func newName() string {
	b := make([]byte, 16)
	_, err := rand.Read(b)
	must(err)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func done(_ string, err error) { must(err) }

func fails(_ string, err error) {
	if err == nil {
		panic("the call should have failed")
	}
}

func check(holds bool, what string, seen ...any) {
	if !holds {
		panic(fmt.Sprint("not so: ", what, seen))
	}
}

// A subscription; its messages come through the channel.
type listener struct {
	stream, consumer string
	messages         chan api.ApisAPIRestRespDataMessage
	cancel           context.CancelFunc
	ended            chan error
}

func listen(stream, consumer, subject string, group *string) *listener {
	ctx, cancel := context.WithCancel(background)
	l := &listener{stream, consumer, make(chan api.ApisAPIRestRespDataMessage, 100), cancel, make(chan error)}
	go func() {
		_, err := data.PushSubscribe(ctx, dataplane.PushSubscribeParam{
			Stream: stream, Consumer: consumer, SubjectFilter: subject, DeliveryGroup: group, MsgChan: &l.messages})
		l.ended <- err
	}()
	return l
}

func (l *listener) next() api.ApisAPIRestRespDataMessage {
	select {
	case m := <-l.messages:
		return m
	case err := <-l.ended:
		panic(fmt.Sprint("the subscription of ", l.consumer, " ended: ", err))
	case <-time.After(patience):
		panic("no message came to " + l.consumer)
	}
}

func (l *listener) ack(m api.ApisAPIRestRespDataMessage) {
	done(data.SendACK(background, dataplane.MsgACKParam{
		Stream: l.stream, StreamSeq: m.Sequence.Stream, Consumer: l.consumer, ConsumerSeq: m.Sequence.Consumer}))
}

func (l *listener) stop() {
	l.cancel()
	err := <-l.ended
	check(err != nil && strings.Contains(err.Error(), context.Canceled.Error()), "it went on until it was stopped", err)
}

func createStream(name string, subjects ...string) (string, error) {
	return admin.CreateStream(background, api.ManagementJSStreamParam{Name: name, Subjects: &subjects})
}

func createConsumer(stream, name, filter string) (string, error) {
	return admin.CreateConsumerForStream(background, stream, api.ManagementJetStreamConsumerParam{
		Name: name, Mode: "push", MaxInflight: 1, FilterSubject: api.PtrString(filter)})
}

func manageStreams() {
	name, subject := newName(), newName()
	done(createStream(name, subject))
	done(createStream(name, subject))
	fails(createStream(newName(), subject))
	_, all, err := admin.ListAllStreams(background)
	must(err)
	check((*all[name].Config.Subjects)[0] == subject, "the subject is listed", all[name])
	subjects := []string{newName(), newName()}
	done(admin.ChangeStreamSubjects(background, name, subjects))
	done(admin.UpdateStreamLimits(background, name, api.ManagementJSStreamLimits{MaxAge: api.PtrInt64(time.Hour.Nanoseconds())}))
	_, shown, err := admin.GetStream(background, name)
	must(err)
	check(shown.Config.MaxAge == time.Hour.Nanoseconds(), "the limit is shown", shown.Config.MaxAge)
	check(fmt.Sprint(*shown.Config.Subjects) == fmt.Sprint(subjects), "the subjects are in order", *shown.Config.Subjects)
	done(admin.DeleteStream(background, name))
	_, _, err = admin.GetStream(background, name)
	check(err != nil, "a deleted stream is gone")
}

func manageConsumers() {
	base, stream, first, second := newName(), newName(), newName(), newName()
	fails(createConsumer(stream, first, base+".a"))
	done(createStream(stream, base+".a", base+".b"))
	done(createConsumer(stream, first, base+".a"))
	done(createConsumer(stream, first, base+".a"))
	fails(createConsumer(stream, first, base+".b"))
	fails(createConsumer(stream, newName(), newName()))
	done(createConsumer(stream, second, base+".*"))
	_, shown, err := admin.GetConsumerOfStream(background, stream, second)
	must(err)
	check(shown.Config.GetMaxAckPending() == 1 && shown.Config.GetFilterSubject() == base+".*", "the consumer is shown", shown)
	third := newName()
	done(createConsumer(stream, third, base+".>"))
	for _, name := range []string{first, second, third} {
		done(admin.DeleteConsumerOnStream(background, stream, name))
	}
	_, all, err := admin.ListAllConsumerOfStream(background, stream)
	must(err)
	check(len(all) == 0, "no consumer is left", all)
	done(admin.DeleteStream(background, stream))
}

func deliver() {
	base, stream := newName(), newName()
	done(createStream(stream, base+".a", base+".b"))
	filters := []string{base + ".a", base + ".b", base + ".*"}
	names := []string{newName(), newName(), newName()}
	for i, filter := range filters {
		done(createConsumer(stream, names[i], filter))
	}
	listenAll := func() (all []*listener) {
		for i, filter := range filters {
			all = append(all, listen(stream, names[i], filter, nil))
		}
		return
	}
	exchange := func(listeners []*listener, round int) {
		payload := fmt.Sprint("round ", round)
		done(data.Publish(background, filters[round%2], []byte(payload)))
		for _, i := range []int{round % 2, 2} {
			m := listeners[i].next()
			check(string(m.B64Msg) == payload && m.Consumer == names[i] && m.Subject == filters[i], "the message", m)
			listeners[i].ack(m)
		}
	}
	// Only when they are there: one that is stopped before might take the place of its follower.
	early := listenAll()
	exchange(early, 0)
	exchange(early, 1)
	for _, l := range early {
		l.stop()
	}
	listeners := listenAll()
	for round := 0; round < 10; round++ {
		exchange(listeners, round)
	}
	fails(data.Publish(background, newName(), []byte("nobody takes this")))
	large := bytes.Repeat([]byte("\x00\xff<>&\n\u2028\"\\"), 4000) // close to what the client's reader can take in a line
	done(data.Publish(background, filters[0], large))
	for _, i := range []int{0, 2} {
		m := listeners[i].next()
		check(bytes.Equal(m.B64Msg, large), "the large message", m.Sequence)
		listeners[i].ack(m)
	}
	for i, l := range listeners {
		l.stop()
		done(admin.DeleteConsumerOnStream(background, stream, names[i]))
	}
	done(admin.DeleteStream(background, stream))
}

func share() {
	stream, group := newName(), "g"
	done(createStream(stream, stream))
	done(admin.CreateConsumerForStream(background, stream, api.ManagementJetStreamConsumerParam{
		Name: "c", Mode: "push", MaxInflight: 20, DeliveryGroup: &group}))
	one, two := listen(stream, "c", stream, &group), listen(stream, "c", stream, &group)
	seen := map[string]bool{}
	for i := 0; i < 20; i++ {
		done(data.Publish(background, stream, []byte(fmt.Sprint(i))))
	}
	for len(seen) < 20 {
		select {
		case m := <-one.messages:
			seen[string(m.B64Msg)] = true
		case m := <-two.messages:
			seen[string(m.B64Msg)] = true
		case <-time.After(patience):
			panic(fmt.Sprint("only ", len(seen), " messages came"))
		}
	}
	one.stop()
	two.stop()
	done(admin.DeleteStream(background, stream))
}

func main() {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(os.Args[2] == "h1")
	transport.Protocols.SetUnencryptedHTTP2(os.Args[2] == "h2")
	core, err := common.DefineAPIClient(os.Args[1], &http.Client{Transport: transport}, nil, false)
	must(err)
	admin, data = management.GetMgmtAPIWrapper(core), dataplane.GetDataAPIWrapper(core)
	must(admin.Ready(background))
	must(data.Ready(background))
	manageStreams()
	manageConsumers()
	deliver()
	share()
	fmt.Println("all scenarios passed")
}
