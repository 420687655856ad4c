package trophy

// The wrapper against the sandbox, which TROPHY_SANDBOX names.

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	key     = "sandbox_admin.open-sesame"
	patient = 2 * time.Minute // a condition that takes longer has failed
)

var sandbox struct{ URL, AdminURL string }

func TestMain(m *testing.M) {
	if way := os.Getenv("TROPHY_CHILD"); way != "" {
		child(way)
		return
	}
	os.Exit(withSandbox(m.Run))
}

func withSandbox(run func() int) int {
	process := exec.Command(os.Getenv("TROPHY_SANDBOX"), "--port", "0", "--exit-with-stdin")
	stdin, _ := process.StdinPipe()
	stdout, _ := process.StdoutPipe()
	if err := process.Start(); err != nil {
		fmt.Println("TROPHY_SANDBOX:", err)
		return 1
	}
	defer process.Wait()
	defer stdin.Close()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &sandbox)
	}
	if err != nil {
		fmt.Println("the sandbox did not start:", err)
		return 1
	}
	return run()
}

type ledger struct {
	Events   int
	Requests map[string]int
	Lanes    []struct{ Tenant string }
}

// ask POSTs a body to the sandbox's control, or GETs if there is none.
func ask(t *testing.T, path string, body any) (reply ledger) {
	t.Helper()
	url := strings.TrimSuffix(sandbox.URL, "/v1") + "/_sandbox" + path
	var response *http.Response
	var err error
	if body == nil {
		response, err = http.Get(url)
	} else {
		text, _ := json.Marshal(body)
		response, err = http.Post(url, "application/json", strings.NewReader(string(text)))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatal(path, response.Status, string(text), err)
	}
	_ = json.Unmarshal(text, &reply)
	return reply
}

func newClient(t *testing.T, options Options) *Client {
	t.Helper()
	options.APIKey, options.BaseURL, options.AdminBaseURL = key, sandbox.URL, sandbox.AdminURL
	client, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(client) })
	return client
}

// start resets the sandbox, and gives a context for calls that should end long before it.
func start(t *testing.T, options Options) (context.Context, *Client) {
	t.Helper()
	ask(t, "/reset", struct{}{})
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	t.Cleanup(cancel)
	return ctx, newClient(t, options)
}

func closeNow(client *Client) (Ending, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return client.Close(ctx)
}

func hang(t *testing.T) {
	ask(t, "/faults", Args{"fault": "hang", "operation": "metrics_event"})
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(patient); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("not so in time: ", what)
		}
	}
}

func waitForEvents(t *testing.T, count int) {
	t.Helper()
	waitFor(t, "the sandbox has the event", func() bool {
		return ask(t, "/ledger", nil).Requests["metrics_event"] == count
	})
}

func words(value float64) Event {
	return Event{Metric: "words-written", User: User{ID: "18"}, Value: value}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, not %#v", got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, not %v", err, want)
	}
}

// shows: counts-once
func TestAnEventSentTwiceWithOneKeyCountsOnce(t *testing.T) {
	ctx, client := start(t, Options{})
	event := words(750)
	event.IdempotencyKey = "chapter-1"
	first, err := client.Event(ctx, event)
	ok(t, err)
	equal(t, first.Total, 750.0)
	equal(t, first.IdempotentReplayed, false)
	equal(t, first.Achievements[1].Name, "500 words")
	equal(t, first.CurrentStreak.Extended, true)
	equal(t, first.Points["xp"].Added, 70.0)
	equal(t, first.Leaderboards["all-time-words"].Rank, 1)
	// The other way to call: a context that never ends.
	again, err := client.Event(context.Background(), event)
	ok(t, err)
	equal(t, again.Total, 750.0)
	equal(t, again.IdempotentReplayed, true)
	equal(t, ask(t, "/ledger", nil).Events, 1)
}

// shows: scripts
func TestTextInAnyScriptArrivesAsItWas(t *testing.T) {
	ctx, client := start(t, Options{})
	user := User{ID: `Ωμέγα/🏆 "q" <&>`, Name: "Zoë 李", Attributes: map[string]string{"city": "São Paulo"}}
	event := Event{Metric: "words-written", User: user, Value: 1.5, Attributes: map[string]string{"genre": "поэма"}}
	_, err := client.Event(ctx, event)
	ok(t, err)
	_, err = client.Identify(ctx, User{ID: user.ID, TZ: "Asia/Tokyo"})
	ok(t, err)
	read, err := client.User(ctx, user.ID)
	ok(t, err)
	equal(t, []any{read.ID, read.Name, read.TZ, read.Attributes}, []any{user.ID, user.Name, "Asia/Tokyo", user.Attributes})
	metric, err := client.Metric(ctx, user.ID, "words-written")
	ok(t, err)
	equal(t, metric.Current, 1.5)
}

func TestTheNamedOperationsAnswer(t *testing.T) {
	ctx, client := start(t, Options{})
	_, err := client.Event(ctx, words(1000))
	ok(t, err)
	streak, err := client.Streak(ctx, "18")
	ok(t, err)
	equal(t, []int{streak.Length, streak.StreakHistory[len(streak.StreakHistory)-1].Length}, []int{1, 1})
	achievements, err := client.Achievements(ctx, "18")
	ok(t, err)
	equal(t, len(achievements), 3)
	achievement, err := client.CompleteAchievement(ctx, "finish-onboarding", User{ID: "18"})
	ok(t, err)
	equal(t, achievement.Key, "finish-onboarding")
	points, err := client.Points(ctx, "18", "xp")
	ok(t, err)
	equal(t, []any{points.Total, points.Level.Key}, []any{125.0, "silver"})
	board, err := client.Leaderboard(ctx, "all-time-words")
	ok(t, err)
	equal(t, board.Rankings[0].UserID, "18")
	metrics, err := Call[[]Metric](ctx, client, "admin_metrics_list", Args{"limit": 1})
	ok(t, err)
	equal(t, len(metrics), 1)
	raw, err := Call[json.RawMessage](ctx, client, "users_streak", Args{"id": "18", "historyPeriods": 2})
	ok(t, err)
	equal(t, strings.Count(string(raw), `"usedPause"`), 2)
}

// shows: errors
func TestAnErrorTellsItsCodeAndWhatTheServiceSent(t *testing.T) {
	ctx, client := start(t, Options{})
	_, err := client.Streak(ctx, "nobody")
	fails(t, err, NotFound)
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	equal(t, []any{failure.Status, failure.Code, failure.HTTPStatus, failure.Attempts}, []any{NotFound, "not_found", 404, 1})
	equal(t, string(failure.Body), `{"error":"User not found: nobody"}`)
	if !strings.HasPrefix(err.Error(), "trophy: not_found: users_streak") || errors.Is(err, RateLimited) {
		t.Fatal(err)
	}
}

func TestARateLimitTellsWhenToComeBack(t *testing.T) {
	ctx, client := start(t, Options{})
	ask(t, "/faults", Args{"fault": "rate_limited", "retryAfter": "7"})
	event := words(1)
	event.Options.MaxRetries = -1
	_, err := client.Event(ctx, event)
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	equal(t, []any{failure.Code, failure.Attempts, failure.RetryAfter}, []any{"rate_limited", 1, 7 * time.Second})
	_, err = Call[Streak](ctx, client, "users_streak", Args{"id": "18", "options": RequestOptions{MaxRetries: -1}})
	fails(t, err, RateLimited)
}

func TestAReplyOfAnotherShapeIsAnError(t *testing.T) {
	ctx, client := start(t, Options{})
	_, err := Call[[]Metric](ctx, client, "users_get", Args{"id": "18"})
	fails(t, err, InvalidResponse)
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		t.Fatal(err)
	}
}

// shows: text, wrong-types, deep-values
func TestAnInvalidArgumentIsNamedAndNothingIsSent(t *testing.T) {
	ctx, client := start(t, Options{})
	event := func(event Event) error {
		_, enqueued := client.Enqueue(event)
		fails(t, enqueued, InvalidArgument)
		_, err := client.Event(ctx, event)
		return err
	}
	call := func(args Args) error {
		_, err := Call[Streak](ctx, client, "users_streak", args)
		return err
	}
	endless := Args{}
	endless["endless"] = endless
	_, userAgent := New(Options{APIKey: key, UserAgent: "\xff"})
	_, overflow := New(Options{APIKey: key, Queue: Queue{Overflow: "spill"}})
	for name, err := range map[string]error{
		"value":                               event(words(math.NaN())),
		"key":                                 event(Event{Metric: "words\x00written", User: User{ID: "18"}}),
		"idempotency_key":                     event(Event{Metric: "words-written", User: User{ID: "18"}, IdempotencyKey: "a\x00b"}),
		"user_json":                           event(Event{Metric: "words-written"}),
		"key: ":                               event(Event{Metric: "\xff", User: User{ID: "18"}}),
		"idempotency_key: ":                   event(Event{Metric: "words-written", User: User{ID: "18"}, IdempotencyKey: "k\xed\xa0\x80"}),
		"User.ID: must be UTF-8":              event(Event{Metric: "words-written", User: User{ID: "\xff"}}),
		"User.Name: must be UTF-8":            event(Event{Metric: "words-written", User: User{ID: "18", Name: "a\xff"}}),
		"User.DeviceTokens[0]: must be UTF-8": event(Event{Metric: "words-written", User: User{ID: "18", DeviceTokens: []string{"\xff"}}}),
		`User.Attributes["plan"]: must be UTF-8`: event(Event{
			Metric: "words-written", User: User{ID: "18", Attributes: map[string]string{"plan": "\xff"}}}),
		`Attributes["\xff"]: must be UTF-8`: event(Event{
			Metric: "words-written", User: User{ID: "18"}, Attributes: map[string]string{"\xff": "a"}}),
		"Options.TenantID: must be UTF-8": event(Event{
			Metric: "words-written", User: User{ID: "18"}, Options: RequestOptions{TenantID: "\xff"}}),
		`body["name"][0]: must be UTF-8`: call(Args{"id": "18", "body": Args{"name": []any{"\xff"}}}),
		"encountered a cycle":            call(Args{"id": "18", "body": endless}),
		"Options.UserAgent":              userAgent,
		"historyPeriod":                  call(Args{"id": "18", "historyPeriod": 1}),
		"id":                             call(Args{"id": "\xff"}),
		"options":                        call(Args{"id": "18", "options": Args{"max_retries": 0}}),
		"unsupported":                    call(Args{"id": "18", "body": func() {}}),
		"overflow":                       overflow,
	} {
		fails(t, err, InvalidArgument)
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not in %q", name, err)
		}
	}
	equal(t, len(ask(t, "/ledger", nil).Requests), 0)
}

func TestAThousandGoroutinesShareAClient(t *testing.T) {
	ctx, client := start(t, Options{Queue: Queue{RequestsPerSecond: 1000}})
	var all sync.WaitGroup
	errs := make(chan error, 1000)
	for i := 0; i < 1000; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			event := Event{Metric: "words-written", User: User{ID: fmt.Sprint(i % 50)}, Value: 1}
			var err error
			switch i % 4 {
			case 0:
				_, err = client.Enqueue(event)
			case 1:
				_, err = client.Stats()
			default:
				_, err = client.Event(ctx, event)
			}
			errs <- err
		}(i)
	}
	all.Wait()
	for i := 0; i < 1000; i++ {
		ok(t, <-errs)
	}
	_, err := client.Flush(ctx)
	ok(t, err)
	equal(t, ask(t, "/ledger", nil).Events, 750)
}

// shows: cancel
func TestACancelledContextEndsTheCallAndFreesItsLane(t *testing.T) {
	ctx, client := start(t, Options{})
	hang(t)
	cancelled, cancel := context.WithCancel(ctx)
	ends := make(chan error)
	go func() {
		_, err := client.Event(cancelled, words(1))
		ends <- err
	}()
	waitForEvents(t, 1)
	cancel()
	err := <-ends
	fails(t, err, context.Canceled)
	fails(t, err, Cancelled)
	ask(t, "/reset", struct{}{})
	reply, err := client.Event(ctx, words(1))
	ok(t, err)
	equal(t, reply.Total, 1.0)

	_, err = client.Event(cancelled, words(1))
	fails(t, err, context.Canceled)
	equal(t, ask(t, "/ledger", nil).Events, 1)
}

func TestADeadlineEndsTheCall(t *testing.T) {
	ctx, client := start(t, Options{})
	hang(t)
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := client.Event(soon, words(1))
	fails(t, err, context.DeadlineExceeded)
	fails(t, err, Timeout)
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	// A timeout of the client's own is no end of the context.
	event := words(1)
	event.Options.Timeout = 50 * time.Millisecond
	_, err = client.Event(ctx, event)
	fails(t, err, Timeout)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestADeadlineShortensATimeoutAndNeverLengthensIt(t *testing.T) {
	soon, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	options, isShortened := RequestOptions{}.within(soon, time.Hour)
	if !isShortened || options.Timeout > time.Minute || options.Timeout < 30*time.Second {
		t.Fatal(options.Timeout)
	}
	options, isShortened = RequestOptions{Timeout: time.Second}.within(soon, time.Hour)
	equal(t, []any{options.Timeout, isShortened}, []any{time.Second, false})
	options, isShortened = RequestOptions{}.within(soon, time.Second)
	equal(t, []any{options.Timeout, isShortened}, []any{time.Duration(0), false})
}

func TestOptionsAreWrittenAsTheLibraryNamesThem(t *testing.T) {
	text, err := marshal("Options", Options{
		APIKey: "k.secret", Timeout: 1500 * time.Millisecond, MaxRetries: -1, Queue: Queue{MaxAge: time.Hour, Coalesce: true},
	})
	ok(t, err)
	equal(t, text, `{"queue":{"coalesce":true,"max_age_in_seconds":3600},"timeout_in_seconds":1.5,"max_retries":0}`)
	// Every option there is, so that a wrong name is refused.
	ask(t, "/reset", struct{}{})
	client := newClient(t, Options{
		Environment: "default", TenantID: "acme", Timeout: time.Minute, AttemptTimeout: time.Second, ConnectTimeout: time.Second,
		MaxRetries: 1, AdditionalHeaders: map[string]string{"X-A": "b"}, Proxy: "http://127.0.0.1:1", AllowInsecureHTTP: true,
		MaxResponseBytes: 1 << 20, Workers: 2, MaxPendingCalls: 9, UserAgent: "test",
		Queue: Queue{
			Path: t.TempDir(), Durability: "power", MaxEvents: 9, MaxBytes: 1 << 20, MaxAge: time.Hour,
			Overflow: "drop_oldest", Delivery: "single", BatchSize: 9, RequestsPerSecond: 2, Coalesce: true,
		},
	})
	_, err = client.Stats()
	ok(t, err)
	_, err = newClient(t, Options{}).Event(context.Background(), Event{
		Metric: "words-written", User: User{ID: "18"}, Options: RequestOptions{
			APIKey: key, TenantID: "acme", BaseURL: sandbox.URL, Timeout: time.Minute, MaxRetries: 1,
			AdditionalHeaders:         map[string]string{"X-A": "b"},
			AdditionalQueryParameters: map[string]string{"a": "b"},
			AdditionalBodyParameters:  map[string]any{},
		},
	})
	ok(t, err)
	_, err = New(Options{APIKey: key, CAFile: "/nowhere.pem"})
	fails(t, err, InvalidArgument)
}

// shows: queue
func TestTheQueueDeliversAndSaysHowEachEventEnded(t *testing.T) {
	ctx, client := start(t, Options{Queue: Queue{Path: t.TempDir(), RequestsPerSecond: 1000}})
	heard := make(chan Delivery, 2)
	client.OnDelivery(func(delivery Delivery) {
		_, err := client.Stats() // A callback may use the client.
		if err != nil {
			t.Error(err)
		}
		heard <- delivery
	})
	good, bad := words(10), words(1)
	good.IdempotencyKey = "good"
	idempotencyKey, err := client.Enqueue(good)
	ok(t, err)
	equal(t, idempotencyKey, "good")
	bad.Attributes = map[string]string{"unknown": "x"}
	made, err := client.Enqueue(bad)
	ok(t, err)
	undelivered, err := client.Flush(ctx)
	ok(t, err)
	equal(t, undelivered, 0)
	ends := map[string]Delivery{}
	for range [2]int{} {
		end := <-heard
		ends[end.IdempotencyKey] = end
	}
	var reply EventReply
	ok(t, json.Unmarshal(ends["good"].Response, &reply))
	equal(t, []any{reply.Total, ends["good"].Err, ends["good"].Metric, ends["good"].UserID}, []any{10.0, nil, "words-written", "18"})
	fails(t, ends[made].Err, Unprocessable)
	stats, err := client.Stats()
	ok(t, err)
	equal(t, []int64{stats.Delivered, stats.Dead, stats.Queued}, []int64{1, 1, 0})
	client.OnDelivery(nil)
	_, err = client.Enqueue(words(1))
	ok(t, err)
	left, err := client.Close(ctx)
	ok(t, err)
	equal(t, []any{left, len(heard)}, []any{Ending{}, 0})
}

func TestTenThousandEventsGoInBatchesWithinTheLimit(t *testing.T) {
	ctx, client := start(t, Options{Queue: Queue{Path: t.TempDir(), Delivery: "batch", RequestsPerSecond: 1000}})
	for i := 0; i < 10_000; i++ {
		_, err := client.Enqueue(Event{Metric: "words-written", User: User{ID: fmt.Sprint(i)}, Value: 1})
		ok(t, err)
	}
	_, err := client.Flush(ctx)
	ok(t, err)
	reply := ask(t, "/ledger", nil)
	equal(t, reply.Events, 10_000)
	if batches := reply.Requests["admin_metrics_batch_events"]; batches < 10 || batches > 10_000/2 {
		t.Fatal(batches)
	}
}

// shows: offline
func TestAnEventOutlivesItsClientOffline(t *testing.T) {
	folder := t.TempDir()
	ctx, first := start(t, Options{Queue: Queue{Path: folder}})
	hang(t)
	_, err := first.Enqueue(words(5))
	ok(t, err)
	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	undelivered, err := first.Flush(soon)
	equal(t, undelivered, 1)
	fails(t, err, context.DeadlineExceeded)
	left, err := closeNow(first)
	equal(t, left, Ending{Undelivered: 1})
	fails(t, err, context.Canceled)
	equal(t, err.Error(), "trophy: timeout: 1 event is not delivered yet")
	ask(t, "/reset", struct{}{})
	second := newClient(t, Options{Queue: Queue{Path: folder}})
	_, err = second.Flush(ctx)
	ok(t, err)
	equal(t, ask(t, "/ledger", nil).Events, 1)
}

func TestATenantHasItsOwnTotals(t *testing.T) {
	ctx, client := start(t, Options{})
	acme, err := client.ForTenant("acme")
	ok(t, err)
	_, err = acme.Event(ctx, words(3))
	ok(t, err)
	reply, err := client.Event(ctx, words(4))
	ok(t, err)
	equal(t, reply.Total, 4.0)
	_, err = acme.Close(ctx)
	ok(t, err)
	_, err = acme.Streak(ctx, "18")
	fails(t, err, Closed)
	// The client lives on without it.
	_, err = client.Streak(ctx, "18")
	ok(t, err)
	tenants := []string{}
	for _, lane := range ask(t, "/ledger", nil).Lanes {
		tenants = append(tenants, lane.Tenant)
	}
	if !strings.Contains(fmt.Sprint(tenants), "acme") {
		t.Fatal(tenants)
	}
}

// shows: tenant-close
func TestATenantsCloseLetsGoOfItsHandleOnly(t *testing.T) {
	ctx, client := start(t, Options{})
	acme, err := client.ForTenant("acme")
	ok(t, err)
	other, err := client.ForTenant("other")
	ok(t, err)
	left, err := acme.Close(ctx)
	ok(t, err)
	equal(t, left, Ending{})
	for _, handle := range []*Client{client, other} {
		reply, err := handle.Event(ctx, words(1))
		ok(t, err)
		equal(t, reply.Total, 1.0)
	}
	_, err = client.Close(ctx)
	ok(t, err)
	_, err = other.Streak(ctx, "18")
	fails(t, err, Closed)
}

// shows: two-numbers
func TestCloseTellsEventsFromCalls(t *testing.T) {
	ctx, client := start(t, Options{})
	hang(t)
	ends := make(chan error)
	for i := 0; i < 100; i++ {
		go func(i int) {
			_, err := client.Event(ctx, Event{Metric: "words-written", User: User{ID: fmt.Sprint(i)}, Value: 1})
			ends <- err
		}(i)
	}
	waitFor(t, "all calls have begun", func() bool {
		stats, err := client.Stats()
		ok(t, err)
		return stats.CallsUnderWay+stats.CallsWaiting == 100
	})
	left, err := closeNow(client)
	equal(t, left, Ending{Cancelled: 100})
	equal(t, err.Error(), "trophy: timeout: 100 calls were cancelled")
	for i := 0; i < 100; i++ {
		fails(t, <-ends, Cancelled)
	}
	equal(t, unfinishedError(Ending{2, 1}, nil).Message, "2 events are not delivered yet, 1 call was cancelled")
}

func TestAFlushThatACloseEndsIsCancelled(t *testing.T) {
	ctx, client := start(t, Options{})
	hang(t)
	_, err := client.Enqueue(words(1))
	ok(t, err)
	ends := make(chan error)
	go func() {
		_, err := client.Flush(ctx)
		ends <- err
	}()
	waitForEvents(t, 1)
	left, _ := closeNow(client)
	equal(t, left, Ending{Undelivered: 1})
	if err := <-ends; !errors.Is(err, Cancelled) && !errors.Is(err, Closed) {
		t.Fatal(err)
	}
}

// shows: any-reply
func TestNoReplyIsAnythingButOurOwnError(t *testing.T) {
	ctx, client := start(t, Options{MaxRetries: -1})
	text, err := os.ReadFile("../replies.json")
	ok(t, err)
	var faults []Args
	ok(t, json.Unmarshal(text, &faults))
	for _, fault := range faults {
		fault["operation"], fault["count"] = "users_streak", 1
		for _, call := range []func() error{
			func() error { _, err := client.Streak(ctx, "18"); return err },
			func() error {
				_, err := Call[json.RawMessage](ctx, client, "users_streak", Args{"id": "18"})
				return err
			},
		} {
			ask(t, "/faults", fault)
			var own *Error
			if err := call(); err != nil && (!errors.As(err, &own) || own.Code == "" || own.RetryAfter < 0) {
				t.Fatal(fault, err)
			}
		}
	}
	equal(t, milliseconds(1e15), time.Duration(math.MaxInt64))
	equal(t, milliseconds(1500), 1500*time.Millisecond)
}

// The end of a process.

// child is what other processes do, in which this one tests how they end.
func child(way string) {
	client, err := New(Options{Queue: Queue{RequestsPerSecond: 1000}})
	if err != nil {
		panic(err)
	}
	idle, _ := New(Options{})
	idle.OnDelivery(func(Delivery) {})
	client.OnDelivery(func(Delivery) {
		if way == "exit in a callback" {
			fmt.Println("ending")
			os.Exit(9)
		}
		fmt.Println("ending")
		time.Sleep(300 * time.Millisecond)
	})
	ctx := context.Background()
	switch way {
	case "exit in a callback", "slow":
		_, _ = client.Enqueue(words(1))
		for stats, _ := client.Stats(); way != "slow" || stats.Delivered == 0; stats, _ = client.Stats() {
			time.Sleep(time.Millisecond)
		}
		return
	case "interrupt", "interrupt with a context":
		if way != "interrupt" {
			var stop func()
			ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
			defer stop()
		}
		fmt.Println("ending")
		if _, err := client.Event(ctx, words(1)); errors.Is(err, context.Canceled) {
			os.Exit(5)
		}
		return
	}
	for i := 0; i < 100; i++ {
		go func(i int) {
			_, _ = client.Event(ctx, Event{Metric: "words-written", User: User{ID: fmt.Sprint(i)}, Value: 1})
		}(i)
	}
	for stats, _ := client.Stats(); stats.Requests == 0; stats, _ = client.Stats() {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("ending")
	switch way {
	case "exit":
		os.Exit(7)
	case "exit in a goroutine":
		go os.Exit(6)
		select {}
	case "panic":
		panic("mine")
	}
}

// What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
const slowness = 10

// ending runs a child, sends it a signal once it prints "ending", and tells its exit code, -1 for a signal's end.
func ending(t *testing.T, way string, interrupt os.Signal) (int, string) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), "TROPHY_CHILD="+way, "TROPHY_API_KEY="+key, "TROPHY_BASE_URL="+sandbox.URL)
	var errs strings.Builder
	process.Stderr = &errs
	stdout, err := process.StdoutPipe()
	ok(t, err)
	ok(t, process.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ending\n" {
		t.Fatal(line, err, errs.String())
	}
	since := time.Now()
	if interrupt != nil {
		waitForEvents(t, 1)
		ok(t, process.Process.Signal(interrupt))
	}
	_ = process.Wait()
	if took := time.Since(since); took > slowness*time.Second {
		t.Fatal(way, took)
	}
	return process.ProcessState.ExitCode(), errs.String()
}

// shows: ends, exits, uncaught, slow-end
func TestAProcessEndsAtOnceWithItsOwnCode(t *testing.T) {
	for way, want := range map[string]int{
		"return": 0, "exit": 7, "exit in a goroutine": 6, "panic": 2, "exit in a callback": 9, "slow": 0,
	} {
		ask(t, "/reset", struct{}{})
		if way != "slow" && way != "exit in a callback" {
			hang(t)
		}
		code, errs := ending(t, way, nil)
		equal(t, []any{way, code}, []any{way, want})
		if strings.Contains(errs, "mine") != (way == "panic") || errs != "" && way != "panic" {
			t.Fatal(way, errs)
		}
	}
}

// shows: interrupt
func TestASignalIsHeardWhileACallWaits(t *testing.T) {
	for way, want := range map[string]int{"interrupt": -1, "interrupt with a context": 5} {
		ask(t, "/reset", struct{}{})
		hang(t)
		code, _ := ending(t, way, os.Interrupt)
		if code != want && !(want == -1 && code == 2) {
			t.Fatal(way, code)
		}
	}
}

// shows: closed
func TestAClosedClientSaysSoAndClosesAgainInPeace(t *testing.T) {
	ctx, client := start(t, Options{})
	tenant, err := client.ForTenant("acme")
	ok(t, err)
	for range [2]int{} {
		left, err := client.Close(ctx)
		ok(t, err)
		equal(t, left, Ending{})
	}
	_, sent := client.Event(ctx, words(1))
	_, enqueued := client.Enqueue(words(1))
	_, counted := client.Stats()
	_, flushed := client.Flush(ctx)
	_, read := tenant.Streak(ctx, "18")
	_, made := tenant.ForTenant("other")
	for _, err := range []error{sent, enqueued, counted, flushed, read, made, client.SetAPIKey("k.1")} {
		fails(t, err, Closed)
	}
	client.OnDelivery(func(Delivery) {})
}

func TestCloseWaitsForCallsUnderWayAndThenCancelsThem(t *testing.T) {
	ctx, client := start(t, Options{})
	hang(t)
	ends := make(chan error)
	send := func() {
		_, err := client.Event(ctx, words(1))
		ends <- err
	}
	go send()
	waitForEvents(t, 1)
	closing, cancel := context.WithCancel(ctx)
	closed := make(chan error)
	go func() {
		_, err := client.Close(closing)
		closed <- err
	}()
	waitFor(t, "the client takes no more", func() bool {
		_, err := client.Enqueue(words(1))
		return errors.Is(err, Closed)
	})
	cancel()
	fails(t, <-ends, Cancelled)
	fails(t, <-closed, context.Canceled)

	client = newClient(t, Options{})
	ask(t, "/reset", struct{}{})
	ask(t, "/faults", Args{"fault": "delay", "ms": 100})
	go send()
	waitForEvents(t, 1)
	go func() {
		_, err := client.Close(ctx)
		closed <- err
	}()
	ok(t, <-ends)
	ok(t, <-closed)
}

// shows: close-inside
func TestCloseInsideOnDeliveryIsRefused(t *testing.T) {
	ctx, client := start(t, Options{Queue: Queue{RequestsPerSecond: 1000}})
	heard := make(chan error, 1)
	client.OnDelivery(func(Delivery) {
		_, err := client.Close(ctx)
		heard <- err
	})
	// A call that the refused Close finds under way, and that ends after it: it does not wait for it.
	ask(t, "/faults", Args{"fault": "hang", "operation": "users_get"})
	waiting, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() {
		_, err := Call[json.RawMessage](waiting, client, "users_get", Args{"id": "user-1"})
		left <- err
	}()
	waitFor(t, "the call is under way", func() bool {
		stats, err := client.Stats()
		ok(t, err)
		return stats.CallsUnderWay == 1
	})
	_, err := client.Enqueue(words(1))
	ok(t, err)
	fails(t, <-heard, InvalidArgument)
	leave()
	fails(t, <-left, context.Canceled)
	client.OnDelivery(nil)
	reply, err := client.Event(ctx, words(1))
	ok(t, err)
	equal(t, reply.Total, 2.0)
}

func TestACloseThatIsRefusedReopensNothingThatAnotherCloses(t *testing.T) {
	ctx, client := start(t, Options{Queue: Queue{RequestsPerSecond: 1000}})
	goOn, heard := make(chan struct{}), make(chan error, 1)
	client.OnDelivery(func(Delivery) {
		<-goOn
		_, err := client.Close(ctx)
		heard <- err
	})
	_, err := client.Enqueue(words(1))
	ok(t, err)
	closing, cancel := context.WithCancel(ctx)
	closed := make(chan error)
	ask(t, "/faults", Args{"fault": "hang", "operation": "users_get"})
	left := make(chan error, 1)
	go func() {
		_, err := Call[json.RawMessage](ctx, client, "users_get", Args{"id": "user-1"})
		left <- err
	}()
	waitFor(t, "the call is under way", func() bool {
		stats, err := client.Stats()
		ok(t, err)
		return stats.CallsUnderWay == 1
	})
	go func() {
		_, err := client.Close(closing)
		closed <- err
	}()
	isClosing := func() bool {
		_, err := client.Enqueue(words(1))
		return errors.Is(err, Closed)
	}
	waitFor(t, "the client takes no more", isClosing)
	close(goOn)
	fails(t, <-heard, InvalidArgument)
	equal(t, isClosing(), true)
	cancel()
	fails(t, <-closed, context.Canceled)
	fails(t, <-left, Cancelled)
}

func TestATenantsHandleIsFreedInsideOnDelivery(t *testing.T) {
	ctx, client := start(t, Options{})
	lines := make(chan string, 100)
	LogTo(LogError, func(_ LogLevel, line string) { lines <- line })
	defer LogTo(LogOff, nil)
	tenant, err := client.ForTenant("acme")
	ok(t, err)
	heard := make(chan error, 1)
	client.OnDelivery(func(Delivery) {
		_, err := tenant.Close(ctx)
		heard <- err
	})
	_, err = client.Enqueue(words(1))
	ok(t, err)
	ok(t, <-heard)
	_, err = tenant.Stats()
	fails(t, err, Closed)
	_, err = client.Close(ctx)
	ok(t, err)
	select {
	case line := <-lines:
		t.Error(line) // It was not freed.
	default:
	}
}

func TestWhoHearsOfDeliveriesMayBeReplacedWhileACallbackUsesTheClient(t *testing.T) {
	ctx, client := start(t, Options{})
	running, heard := make(chan struct{}), make(chan error, 1)
	client.OnDelivery(func(Delivery) {
		close(running)
		time.Sleep(50 * time.Millisecond) // Meanwhile the others wait, or have ended.
		_, err := client.Stats()
		heard <- err
	})
	_, err := client.Enqueue(words(1))
	ok(t, err)
	<-running
	closed := make(chan error)
	go func() {
		_, err := client.Close(ctx)
		closed <- err
	}()
	client.OnDelivery(nil)
	ok(t, <-heard)
	ok(t, <-closed)
}

// shows: freed
func TestAForgottenClientIsFreed(t *testing.T) {
	if libraryThreads(t) != 0 {
		t.Fatal("another test left threads of the library")
	}
	ctx, _ := start(t, Options{})
	func() {
		client, err := New(Options{APIKey: key, BaseURL: sandbox.URL})
		ok(t, err)
		tenant, err := client.ForTenant("acme")
		ok(t, err)
		_, err = tenant.Event(ctx, words(1))
		ok(t, err)
		if libraryThreads(t) == 0 {
			t.Fatal("no thread of the library is seen")
		}
	}()
	waitFor(t, "the client's threads are gone", func() bool {
		runtime.GC()
		return libraryThreads(t) == 0
	})
}

func TestAListenerKeepsNoClientThatItDoesNotReferTo(t *testing.T) {
	start(t, Options{})
	hang(t)
	func() {
		client, err := New(Options{APIKey: key, BaseURL: sandbox.URL})
		ok(t, err)
		client.OnDelivery(func(Delivery) {})
		enqueueAndSeeThreads(t, client)
	}()
	waitFor(t, "the client's threads are gone", func() bool {
		runtime.GC()
		return libraryThreads(t) == 0
	})
}

func TestAListenerKeepsItsClientUntilItIsReplaced(t *testing.T) {
	start(t, Options{})
	heard := make(chan Delivery, 1)
	func() {
		client, err := New(Options{APIKey: key, BaseURL: sandbox.URL})
		ok(t, err)
		client.OnDelivery(func(delivery Delivery) {
			client.OnDelivery(nil)
			heard <- delivery
		})
		_, err = client.Enqueue(words(1))
		ok(t, err)
	}()
	// As often as it takes for a finalizer.
	runtime.GC()
	runtime.GC()
	ok(t, (<-heard).Err)
	waitFor(t, "the client's threads are gone", func() bool {
		runtime.GC()
		return libraryThreads(t) == 0
	})
}

func enqueueAndSeeThreads(t *testing.T, client *Client) {
	t.Helper()
	_, err := client.Enqueue(words(1))
	ok(t, err)
	waitFor(t, "the queue has a thread", func() bool { return libraryThreads(t) > 0 })
}

// libraryThreads counts threads of this process by the library's names for them.
func libraryThreads(t *testing.T) (count int) {
	t.Helper()
	names, _ := filepath.Glob("/proc/self/task/*/comm")
	if len(names) == 0 {
		t.Skip("needs /proc")
	}
	for _, name := range names {
		text, _ := os.ReadFile(name) // It may have just ended.
		if strings.HasPrefix(string(text), "trophy-") {
			count++
		}
	}
	return count
}

func TestARotatedKeyIsTaken(t *testing.T) {
	ctx, client := start(t, Options{})
	ask(t, "/keys", Args{"adminKeys": []string{"new.key"}})
	_, err := client.Event(ctx, words(1))
	fails(t, err, Unauthorized)
	ok(t, client.SetAPIKey("new.key"))
	_, err = client.Event(ctx, words(1))
	ok(t, err)
}

// shows: webhook
func TestAWebhookIsBelievedOnlyWithItsSignature(t *testing.T) {
	body := []byte(`{"type":"achievement.completed"}`)
	hash := hmac.New(sha256.New, []byte("secret"))
	hash.Write(body)
	signature := base64.StdEncoding.EncodeToString(hash.Sum(nil))
	ok(t, VerifyWebhook(body, signature, "secret"))
	fails(t, VerifyWebhook(append(body, ' '), signature, "secret"), InvalidSignature)
	fails(t, VerifyWebhook(nil, signature, "secret"), InvalidSignature)
}

// shows: log
func TestLogLinesArriveWithoutTheSecret(t *testing.T) {
	ctx, client := start(t, Options{})
	var mu sync.Mutex
	var lines strings.Builder
	LogTo(LogDebug, func(level LogLevel, message string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(&lines, level, message)
	})
	defer LogTo(LogOff, nil)
	_, err := client.Event(ctx, words(1))
	ok(t, err)
	LogTo(LogOff, nil)
	_, err = client.Event(ctx, words(1))
	ok(t, err)
	mu.Lock()
	defer mu.Unlock()
	if strings.Count(lines.String(), "POST") != 1 || strings.Contains(lines.String(), "open-sesame") {
		t.Fatal(lines.String())
	}
}

func TestTheVersionIsTheLibrarys(t *testing.T) {
	if !strings.HasPrefix(Version(), "1.") {
		t.Fatal(Version())
	}
}

// shows: memory
func TestManyCallsLeaveMemoryFlat(t *testing.T) {
	ctx, client := start(t, Options{Queue: Queue{RequestsPerSecond: 10_000}})
	// Long, so that what leaks shows: 32 KiB a call, 3 MiB a round.
	user := User{ID: "18", Name: strings.Repeat("n", 32<<10)}
	memorySettles(t, func() {
		for range [100]int{} {
			_, err := client.Event(ctx, Event{Metric: "words-written", User: user, Value: 1})
			ok(t, err)
			_, err = client.User(ctx, "18")
			ok(t, err)
			_, err = Call[User](ctx, client, user.Name, nil)
			fails(t, err, InvalidArgument)
		}
	})
}

func TestManyClientsLeaveMemoryFlat(t *testing.T) {
	ctx := context.Background()
	// 3 KiB a client.
	memorySettles(t, func() {
		for range [1000]int{} {
			client, err := New(Options{APIKey: key})
			ok(t, err)
			tenant, err := client.ForTenant("acme")
			ok(t, err)
			_, err = tenant.Close(ctx)
			ok(t, err)
			_, err = client.Close(ctx)
			ok(t, err)
		}
	})
}

// memorySettles fails if each round takes more. What Go's runtime keeps grows for a few rounds, what leaks in each.
func memorySettles(t *testing.T, round func()) {
	t.Helper()
	before := 0
	for range [10]int{} {
		round()
		after := residentBytes(t)
		if after-before < 1<<20 {
			return
		}
		before = after
	}
	t.Fatal("memory grew in each round")
}

func residentBytes(t *testing.T) (bytes int) {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("needs /proc")
	}
	var size, resident int
	fmt.Sscan(string(text), &size, &resident)
	return resident * os.Getpagesize()
}
