package trophy

import (
	"context"
	"encoding/json"
	"time"
)

// Options are a client's. What is left out has the default that trophy.h tells, but for Workers.
type Options struct {
	APIKey            string            `json:"-"` // TROPHY_API_KEY if left out
	Environment       string            `json:"environment,omitempty"`
	BaseURL           string            `json:"base_url,omitempty"`
	AdminBaseURL      string            `json:"admin_base_url,omitempty"`
	TenantID          string            `json:"tenant_id,omitempty"`
	Timeout           time.Duration     `json:"-"` // a whole call; a context's deadline shortens it
	AttemptTimeout    time.Duration     `json:"-"`
	ConnectTimeout    time.Duration     `json:"-"`
	MaxRetries        int               `json:"-"` // 0: the default; negative: none
	AdditionalHeaders map[string]string `json:"additional_headers,omitempty"`
	Proxy             string            `json:"proxy,omitempty"`
	CAFile            string            `json:"ca_file,omitempty"`
	TLSRoots          string            `json:"tls_roots,omitempty"` // "builtin" or "system"
	AllowInsecureHTTP bool              `json:"allow_insecure_http,omitempty"`
	MaxResponseBytes  int64             `json:"max_response_bytes,omitempty"`
	Workers           int               `json:"workers,omitempty"` // calls at a time; 16 if left out
	MaxPendingCalls   int               `json:"max_pending_calls,omitempty"`
	UserAgent         string            `json:"user_agent,omitempty"`
	Queue             Queue             `json:"queue"`
}

// A Queue holds the options of the queue.
type Queue struct {
	Path              string        `json:"path,omitempty"`       // its folder; in memory without one
	Durability        string        `json:"durability,omitempty"` // "process" or "power"
	MaxEvents         int           `json:"max_events,omitempty"`
	MaxBytes          int64         `json:"max_bytes,omitempty"`
	MaxAge            time.Duration `json:"-"`
	Overflow          string        `json:"overflow,omitempty"` // "reject" or "drop_oldest"
	Delivery          string        `json:"delivery,omitempty"` // "auto", "single" or "batch"
	BatchSize         int           `json:"batch_size,omitempty"`
	RequestsPerSecond float64       `json:"requests_per_second,omitempty"`
	Coalesce          bool          `json:"coalesce,omitempty"`
}

// RequestOptions are for one call, and win over the client's.
type RequestOptions struct {
	APIKey                    string            `json:"api_key,omitempty"`
	TenantID                  string            `json:"tenant_id,omitempty"`
	BaseURL                   string            `json:"base_url,omitempty"`
	Timeout                   time.Duration     `json:"-"`
	MaxRetries                int               `json:"-"` // 0: the client's; negative: none
	AdditionalHeaders         map[string]string `json:"additional_headers,omitempty"`
	AdditionalQueryParameters map[string]string `json:"additional_query_parameters,omitempty"`
	AdditionalBodyParameters  map[string]any    `json:"additional_body_parameters,omitempty"`
}

func (o Options) MarshalJSON() ([]byte, error) {
	type plain Options
	return json.Marshal(struct {
		plain
		Timeout        seconds `json:"timeout_in_seconds,omitempty"`
		AttemptTimeout seconds `json:"attempt_timeout_in_seconds,omitempty"`
		ConnectTimeout seconds `json:"connect_timeout_in_seconds,omitempty"`
		MaxRetries     retries `json:"max_retries,omitempty"`
	}{plain(o), seconds(o.Timeout), seconds(o.AttemptTimeout), seconds(o.ConnectTimeout), retries(o.MaxRetries)})
}

func (q Queue) MarshalJSON() ([]byte, error) {
	type plain Queue
	return json.Marshal(struct {
		plain
		MaxAge seconds `json:"max_age_in_seconds,omitempty"`
	}{plain(q), seconds(q.MaxAge)})
}

func (o RequestOptions) MarshalJSON() ([]byte, error) {
	type plain RequestOptions
	return json.Marshal(struct {
		plain
		Timeout    seconds `json:"timeout_in_seconds,omitempty"`
		MaxRetries retries `json:"max_retries,omitempty"`
	}{plain(o), seconds(o.Timeout), retries(o.MaxRetries)})
}

type seconds time.Duration

func (s seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Seconds())
}

type retries int

func (r retries) MarshalJSON() ([]byte, error) {
	if r < 0 {
		r = 0
	}
	return json.Marshal(int(r))
}

// within shortens the timeout to the context's deadline, if that is sooner than the call's or the client's.
func (o RequestOptions) within(ctx context.Context, timeout time.Duration) (_ RequestOptions, isShortened bool) {
	if o.Timeout != 0 {
		timeout = o.Timeout
	}
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) >= timeout {
		return o, false
	}
	o.Timeout = time.Until(deadline)
	if o.Timeout < time.Millisecond { // the least that the library takes
		o.Timeout = time.Millisecond
	}
	return o, true
}
