// Package trophy sends events to Trophy: each counts once, and the queue loses none. It wraps libtrophy with cgo.
//
//	client, err := trophy.New(trophy.Options{}) // the API key: TROPHY_API_KEY
//	reply, err := client.Event(ctx, trophy.Event{Metric: "words-written", User: trophy.User{ID: "18"}, Value: 750})
//
// Any goroutine may use a client. A context that ends, ends its call.
package trophy

/*
#include <stdlib.h>
#include <string.h>
#include <trophy.h>

void goTrophyDone(int32_t status, char *json, uintptr_t tag);
void goTrophyDelivered(int32_t status, char *json, uintptr_t tag);

// user_data is a number, cgo.Handle, and never a pointer into Go's memory.
static void done(trophy_status status, const char *json, void *tag) {
	goTrophyDone((int32_t)status, (char *)json, (uintptr_t)tag);
}

static _Thread_local int deliveries; // that this thread is inside of

static void delivered(trophy_status status, const char *json, void *tag) {
	deliveries++;
	goTrophyDelivered((int32_t)status, (char *)json, (uintptr_t)tag);
	deliveries--;
}

static int is_inside_delivery(void) {
	return deliveries > 0;
}

static trophy_status start_event(const trophy_client *client, const char *key, const char *user, double value,
		const char *attributes, const char *idempotency_key, const char *options, uintptr_t tag, char **out) {
	return trophy_metrics_event_async(client, key, user, value, attributes, idempotency_key, options, done,
		(void *)tag, out);
}

static trophy_status start_call(const trophy_client *client, const char *operation, const char *args, uintptr_t tag,
		char **out) {
	return trophy_call_async(client, operation, args, done, (void *)tag, out);
}

static size_t cancel(const trophy_client *client, uintptr_t tag) {
	return trophy_client_cancel(client, (void *)tag);
}

static void hear_deliveries(const trophy_client *client, int wanted, uintptr_t tag) {
	trophy_client_on_delivery(client, wanted ? delivered : NULL, (void *)tag);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
)

// A Client holds connections, threads and a queue. One for a process is enough.
type Client struct {
	handle   *C.trophy_client // nil once freed; guarded by shared.mu
	shared   *shared
	isTenant bool
}

// What the handles of a client have in common.
type shared struct {
	timeout  time.Duration // of a call, unless it says otherwise
	tag      cgo.Handle    // of this, as user_data of deliveries: it keeps the listener, as Go 1.19 has no weak pointer
	listener atomic.Pointer[func(Delivery)]
	calls    count // of calls that wait for their reply
	hearings count // of calls of OnDelivery, which wait for the callback

	mu      sync.RWMutex // read: a handle is in use
	closing bool
	handles int
}

// A sync.WaitGroup would not do: a Close whose context ends leaves its wait behind, and then calls begin again.
type count struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed at 0; nil: nobody has asked since
}

func (c *count) began() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
}

func (c *count) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	if c.count == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// none is closed once there is none.
func (c *count) none() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == 0 {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	return c.idle
}

// New makes a client. It sends nothing. Close it when you are done.
func New(options Options) (*Client, error) {
	if options.Workers == 0 {
		options.Workers = 16
	}
	if options.Timeout == 0 {
		options.Timeout = 60 * time.Second
	}
	text, err := marshal("Options", options)
	if err != nil {
		return nil, err
	}
	client := &Client{shared: &shared{timeout: options.Timeout}}
	_, err = call(func(a *arena, out **C.char) C.trophy_status {
		return C.trophy_client_new(a.optional(options.APIKey), a.text(text), &client.handle, out)
	})
	if err != nil {
		return nil, err
	}
	client.shared.tag = cgo.NewHandle(client.shared)
	client.watch()
	return client, nil
}

// ForTenant gives the same client (connections, threads, queue), whose calls are for a tenant. Closing it lets go of
// this handle only.
func (c *Client) ForTenant(tenantID string) (*Client, error) {
	tenant := &Client{shared: c.shared, isTenant: true}
	_, err := c.begin(func(handle *C.trophy_client) ([]byte, error) {
		return call(func(a *arena, out **C.char) C.trophy_status {
			return C.trophy_client_for_tenant(handle, a.text(tenantID), &tenant.handle, out)
		})
	})
	if err != nil {
		return nil, err
	}
	tenant.watch()
	return tenant, nil
}

// Event sends an event, and tells what it changed. If its context ends first, it may have counted all the same.
func (c *Client) Event(ctx context.Context, event Event) (EventReply, error) {
	var isShortened bool
	event.Options, isShortened = event.Options.within(ctx, c.shared.timeout)
	text, err := c.await(ctx, isShortened, func(handle *C.trophy_client, tag C.uintptr_t) ([]byte, error) {
		return event.pass(func(e wireEvent, out **C.char) C.trophy_status {
			return C.start_event(handle, e.key, e.user, e.value, e.attributes, e.idempotencyKey, e.options, tag, out)
		})
	})
	return read[EventReply](text, err)
}

// Enqueue puts an event into the queue and returns its idempotency key. It waits for no network, so it takes no
// context: with a queue on disk, the event is delivered even after a crash, or days offline.
func (c *Client) Enqueue(event Event) (idempotencyKey string, err error) {
	text, err := c.begin(func(handle *C.trophy_client) ([]byte, error) {
		return event.pass(func(e wireEvent, out **C.char) C.trophy_status {
			return C.trophy_metrics_event_enqueue(
				handle, e.key, e.user, e.value, e.attributes, e.idempotencyKey, e.options, out)
		})
	})
	reply, err := read[struct{ IdempotencyKey string }](text, err)
	return reply.IdempotencyKey, err
}

// OnDelivery sets who hears how each queued event ended; nil: nobody. It is called on a thread of the library, which
// waits for it. It must not call Close or Flush. If it refers to its client, it keeps it, which the garbage collector
// then never frees: Close it, or call OnDelivery(nil).
func (c *Client) OnDelivery(hear func(Delivery)) {
	c.shared.listener.Store(&hear)
	wanted := C.int(0)
	if hear != nil {
		wanted = 1
	}
	var borrowed *C.trophy_client
	_, _ = c.use(func(handle *C.trophy_client) ([]byte, error) {
		borrowed = handle
		c.shared.hearings.began()
		return nil, nil
	})
	if borrowed != nil {
		// With no lock held: it waits for the callback before, which may be using the client.
		defer c.shared.hearings.ended()
		C.hear_deliveries(borrowed, wanted, C.uintptr_t(c.shared.tag))
	}
}

// Flush waits until the queue is delivered, or the context ends. Then the error is not nil, and tells by errors.Is
// the context's; undelivered says how many events are left.
func (c *Client) Flush(ctx context.Context) (undelivered int, err error) {
	// A wait of the library cannot be cancelled, so it is cut into slices.
	const slice = 100 * time.Millisecond
	for isFirst := true; ; isFirst = false {
		ended := ctx.Err()
		wait := slice
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			wait = time.Until(deadline)
		}
		if ended != nil || wait < 0 {
			wait = 0
		}
		left, err := c.end(func(handle *C.trophy_client, out **C.char) C.trophy_status {
			return C.trophy_client_flush(handle, C.int64_t(wait.Milliseconds()), out)
		})
		if !isFirst && errors.Is(err, Closed) {
			err = closedMeanwhile()
		}
		if err != nil || left.Undelivered == 0 {
			return left.Undelivered, err
		}
		if ended != nil {
			return left.Undelivered, unfinishedError(left, ended)
		}
	}
}

// Close takes no more work, delivers what is queued and waits for calls under way until the context ends, cancels
// what is left, and frees the client. Again, it does nothing. If something was left, the error is as Flush's. Of a
// tenant's handle it only lets go.
func (c *Client) Close(ctx context.Context) (Ending, error) {
	if c.isTenant {
		c.free()
		return Ending{}, nil
	}
	// Inside OnDelivery the library refuses, and the client goes on.
	isRefused := C.is_inside_delivery() != 0
	if !isRefused {
		c.shared.setClosing(true)
		_, _ = c.Flush(ctx)
		select {
		case <-c.shared.calls.none():
		case <-ctx.Done():
		}
	}
	left, err := c.end(func(handle *C.trophy_client, out **C.char) C.trophy_status {
		return C.trophy_client_close(handle, 0, out)
	})
	if errors.Is(err, Closed) {
		return Ending{}, nil
	}
	if err != nil {
		if !isRefused {
			c.shared.setClosing(false)
		}
		return Ending{}, err
	}
	c.free()
	if left != (Ending{}) {
		return left, unfinishedError(left, ctx.Err())
	}
	return left, nil
}

func closedMeanwhile() *Error {
	return ownError(Cancelled, "Flush: the client was closed meanwhile")
}

// Stats reads what the client has done and has to do.
func (c *Client) Stats() (Stats, error) {
	text, err := c.use(func(handle *C.trophy_client) ([]byte, error) {
		return call(func(_ *arena, out **C.char) C.trophy_status {
			return C.trophy_client_stats(handle, out)
		})
	})
	return read[Stats](text, err)
}

// SetAPIKey changes the key after it was rotated. A queue that was paused by the old one goes on.
func (c *Client) SetAPIKey(apiKey string) error {
	_, err := c.use(func(handle *C.trophy_client) ([]byte, error) {
		return call(func(a *arena, out **C.char) C.trophy_status {
			return C.trophy_client_set_api_key(handle, a.text(apiKey), out)
		})
	})
	return err
}

// Args are the arguments of an operation: its parameters by name, "body", and "options", which are RequestOptions.
type Args map[string]any

// Call calls any of the 85 operations, and reads its reply into a T, which may be json.RawMessage.
//
//	metrics, err := trophy.Call[[]Metric](ctx, client, "admin_metrics_list", trophy.Args{"limit": 10})
func Call[T any](ctx context.Context, client *Client, operation string, args Args) (T, error) {
	text, err := client.call(ctx, operation, args)
	return read[T](text, err)
}

func (c *Client) call(ctx context.Context, operation string, args Args) ([]byte, error) {
	all := Args{}
	for name, value := range args {
		all[name] = value
	}
	options, ok := all["options"].(RequestOptions)
	if !ok && all["options"] != nil {
		return nil, ownError(InvalidArgument, fmt.Sprintf("options: must be trophy.RequestOptions, not %T", all["options"]))
	}
	options, isShortened := options.within(ctx, c.shared.timeout)
	all["options"] = options
	text, err := marshal("", all)
	if err != nil {
		return nil, err
	}
	return c.await(ctx, isShortened, func(handle *C.trophy_client, tag C.uintptr_t) ([]byte, error) {
		return call(func(a *arena, out **C.char) C.trophy_status {
			return C.start_call(handle, a.text(operation), a.text(text), tag, out)
		})
	})
}

// User reads a user.
func (c *Client) User(ctx context.Context, userID string) (User, error) {
	return Call[User](ctx, c, "users_get", Args{"id": userID})
}

// Identify creates a user, or changes what is given of the one there is.
func (c *Client) Identify(ctx context.Context, user User) (User, error) {
	id := user.ID
	user.ID = ""
	return Call[User](ctx, c, "users_identify", Args{"id": id, "body": user})
}

// Streak reads a user's streak.
func (c *Client) Streak(ctx context.Context, userID string) (Streak, error) {
	return Call[Streak](ctx, c, "users_streak", Args{"id": userID})
}

// Achievements lists those that a user has completed.
func (c *Client) Achievements(ctx context.Context, userID string) ([]Achievement, error) {
	return Call[[]Achievement](ctx, c, "users_achievements", Args{"id": userID})
}

// CompleteAchievement marks an achievement as completed: for those that no metric completes.
func (c *Client) CompleteAchievement(ctx context.Context, key string, user User) (Achievement, error) {
	reply, err := Call[struct{ Achievement Achievement }](ctx, c, "achievements_complete",
		Args{"key": key, "body": Args{"user": user}})
	return reply.Achievement, err
}

// Metric reads a user's progress in a metric.
func (c *Client) Metric(ctx context.Context, userID, key string) (Metric, error) {
	return Call[Metric](ctx, c, "users_single_metric", Args{"id": userID, "key": key})
}

// Points reads a user's points.
func (c *Client) Points(ctx context.Context, userID, key string) (Points, error) {
	return Call[Points](ctx, c, "users_points", Args{"id": userID, "key": key})
}

// Leaderboard reads a leaderboard and its rankings.
func (c *Client) Leaderboard(ctx context.Context, key string) (Leaderboard, error) {
	return Call[Leaderboard](ctx, c, "leaderboards_get", Args{"key": key})
}

// VerifyWebhook returns nil if Trophy signed this body, the raw bytes as they came. Else answer 401. The signature is
// the header X-Trophy-Signature.
func VerifyWebhook(body []byte, signature, secret string) error {
	var first *C.uint8_t
	if len(body) > 0 {
		first = (*C.uint8_t)(unsafe.Pointer(&body[0]))
	}
	_, err := call(func(a *arena, out **C.char) C.trophy_status {
		return C.trophy_webhook_verify(first, C.size_t(len(body)), a.text(signature), a.text(secret), out)
	})
	return err
}

// Version is that of the library that runs.
func Version() string {
	return C.GoString(C.trophy_version())
}

// Below: how values cross into C and back.

// use runs f with the handle, which is not freed meanwhile.
func (c *Client) use(f func(*C.trophy_client) ([]byte, error)) ([]byte, error) {
	c.shared.mu.RLock()
	defer c.shared.mu.RUnlock()
	if c.handle == nil {
		return nil, ownError(Closed, "this client is closed: make another")
	}
	return f(c.handle)
}

// begin is use, for new work: there is none while the client closes.
func (c *Client) begin(f func(*C.trophy_client) ([]byte, error)) ([]byte, error) {
	return c.use(func(handle *C.trophy_client) ([]byte, error) {
		if c.shared.closing {
			return nil, ownError(Closed, "this client is closing: make another")
		}
		return f(handle)
	})
}

func (s *shared) setClosing(closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = closing
}

// watch counts a new handle, which the garbage collector frees if nobody closes it.
func (c *Client) watch() {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	c.shared.handles++
	runtime.SetFinalizer(c, func(c *Client) { go c.free() })
}

func (c *Client) free() {
	c.shared.mu.Lock()
	handle := c.handle
	c.handle = nil
	c.shared.mu.Unlock()
	if handle == nil {
		return
	}
	runtime.SetFinalizer(c, nil)
	if C.is_inside_delivery() != 0 {
		// There the library frees nothing.
		go c.shared.free(handle)
	} else {
		c.shared.free(handle)
	}
}

// With no lock held: it waits for callbacks, which may be using the client.
func (s *shared) free(handle *C.trophy_client) {
	<-s.hearings.none()
	C.trophy_client_free(handle)
	s.mu.Lock()
	s.handles--
	isLast := s.handles == 0
	s.mu.Unlock()
	if isLast {
		s.tag.Delete()
	}
}

type outcome struct {
	status Status
	json   []byte
}

// await starts a call, and waits for its reply or the end of the context.
func (c *Client) await(
	ctx context.Context, isShortened bool, start func(*C.trophy_client, C.uintptr_t) ([]byte, error),
) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, contextError(err)
	}
	done := make(chan outcome, 1)
	tag := cgo.NewHandle(done)
	_, err := c.begin(func(handle *C.trophy_client) ([]byte, error) {
		text, err := start(handle, C.uintptr_t(tag))
		if err == nil {
			c.shared.calls.began()
		}
		return text, err
	})
	if err != nil {
		tag.Delete() // There will be no callback.
		return nil, err
	}
	defer c.shared.calls.ended()
	var end outcome
	select {
	case end = <-done:
	case <-ctx.Done():
		_, _ = c.use(func(handle *C.trophy_client) ([]byte, error) {
			C.cancel(handle, C.uintptr_t(tag))
			return nil, nil
		})
		select {
		case end = <-done: // The reply may have been first.
		default:
			return nil, contextError(ctx.Err())
		}
	}
	switch {
	case end.status == OK:
		return end.json, nil
	case end.status == Cancelled && ctx.Err() != nil:
		return nil, contextError(ctx.Err())
	}
	failure := newError(end.status, end.json)
	if end.status == Timeout && isShortened {
		failure.cause = context.DeadlineExceeded
	}
	return nil, failure
}

// end runs flush or close, and reads what is left.
func (c *Client) end(f func(*C.trophy_client, **C.char) C.trophy_status) (Ending, error) {
	text, err := c.use(func(handle *C.trophy_client) ([]byte, error) {
		status, text := run(func(_ *arena, out **C.char) C.trophy_status { return f(handle, out) })
		switch status {
		case OK, Timeout:
			return text, nil
		case Cancelled:
			return nil, closedMeanwhile()
		}
		return nil, newError(status, text)
	})
	return read[Ending](text, err)
}

type wireEvent struct {
	key, user, attributes, idempotencyKey, options *C.char
	value                                          C.double
}

// pass converts an event for one of the two functions that take its fields.
func (e Event) pass(f func(wireEvent, **C.char) C.trophy_status) ([]byte, error) {
	user, err := marshal("User", e.User)
	if err != nil {
		return nil, err
	}
	attributes, err := marshal("Attributes", e.Attributes)
	if err != nil {
		return nil, err
	}
	options, err := marshal("Options", e.Options)
	if err != nil {
		return nil, err
	}
	return call(func(a *arena, out **C.char) C.trophy_status {
		return f(wireEvent{
			key: a.text(e.Metric), user: a.text(user), value: C.double(e.Value), attributes: a.text(attributes),
			idempotencyKey: a.optional(e.IdempotencyKey), options: a.text(options),
		}, out)
	})
}

// An arena holds C strings until the call that takes them returns.
type arena []*C.char

func (a *arena) text(text string) *C.char {
	// C would read no further than a NUL. A byte that is not UTF-8 is refused, with the parameter's name.
	c := C.CString(strings.ReplaceAll(text, "\x00", "\xff"))
	*a = append(*a, c)
	return c
}

// optional passes NULL for "".
func (a *arena) optional(text string) *C.char {
	if text == "" {
		return nil
	}
	return a.text(text)
}

// run calls a C function, and copies and frees its out_json.
func run(f func(*arena, **C.char) C.trophy_status) (Status, []byte) {
	var strings arena
	var out *C.char
	status := Status(f(&strings, &out))
	for _, text := range strings {
		C.free(unsafe.Pointer(text))
	}
	defer C.trophy_string_free(out)
	return status, bytes(out)
}

func call(f func(*arena, **C.char) C.trophy_status) ([]byte, error) {
	status, text := run(f)
	if status != OK {
		return nil, newError(status, text)
	}
	return text, nil
}

func bytes(text *C.char) []byte {
	return C.GoBytes(unsafe.Pointer(text), C.int(C.strlen(text)))
}

// marshal writes a value as JSON. name is what an error calls it; "" if its members have names enough.
func marshal(name string, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", ownError(InvalidArgument, strings.TrimPrefix(name+": "+err.Error(), ": "))
	}
	// Marshal has put U+FFFD in place of what is no UTF-8.
	if where, found := notUTF8(name, reflect.ValueOf(value)); found {
		return "", ownError(InvalidArgument, where+": must be UTF-8")
	}
	return string(text), nil
}

// notUTF8 finds a text that is none, in a value that Marshal has written: so it does not contain itself.
func notUTF8(path string, value reflect.Value) (where string, found bool) {
	switch value.Kind() {
	case reflect.String:
		return path, !utf8.ValidString(value.String())
	case reflect.Interface, reflect.Pointer:
		return notUTF8(path, value.Elem())
	case reflect.Slice, reflect.Array:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return "", false // base64, or JSON as it is
		}
		for i := 0; i < value.Len(); i++ {
			if where, found = notUTF8(fmt.Sprintf("%s[%d]", path, i), value.Index(i)); found {
				return where, found
			}
		}
	case reflect.Map:
		for members := value.MapRange(); members.Next(); {
			name := fmt.Sprintf("%s[%q]", path, members.Key())
			if path == "" {
				name = members.Key().String()
			}
			if where, found = notUTF8(name, members.Key()); !found {
				where, found = notUTF8(name, members.Value())
			}
			if found {
				return where, found
			}
		}
	case reflect.Struct:
		for i := 0; i < value.NumField(); i++ {
			name := strings.TrimPrefix(path+"."+value.Type().Field(i).Name, ".")
			if where, found = notUTF8(name, value.Field(i)); found {
				return where, found
			}
		}
	}
	return "", false
}

// read decodes a reply, unless there is an error already.
func read[T any](text []byte, err error) (reply T, _ error) {
	if err != nil {
		return reply, err
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		failure := ownError(InvalidResponse, err.Error())
		failure.cause = err
		return reply, failure
	}
	return reply, nil
}
