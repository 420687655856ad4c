package trophy

// #include <trophy.h>
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A Status is what became of a call. As an error it is what errors.Is compares with:
//
//	if errors.Is(err, trophy.NotFound) { … }
type Status int32

const (
	OK               Status = C.TROPHY_STATUS_OK
	InvalidArgument  Status = C.TROPHY_STATUS_INVALID_ARGUMENT
	Closed           Status = C.TROPHY_STATUS_CLOSED
	Cancelled        Status = C.TROPHY_STATUS_CANCELLED
	Network          Status = C.TROPHY_STATUS_NETWORK
	Timeout          Status = C.TROPHY_STATUS_TIMEOUT
	TLS              Status = C.TROPHY_STATUS_TLS
	InvalidResponse  Status = C.TROPHY_STATUS_INVALID_RESPONSE // An event may have counted.
	BadRequest       Status = C.TROPHY_STATUS_BAD_REQUEST
	Unauthorized     Status = C.TROPHY_STATUS_UNAUTHORIZED
	Forbidden        Status = C.TROPHY_STATUS_FORBIDDEN
	NotFound         Status = C.TROPHY_STATUS_NOT_FOUND
	Unprocessable    Status = C.TROPHY_STATUS_UNPROCESSABLE
	RateLimited      Status = C.TROPHY_STATUS_RATE_LIMITED
	HTTP             Status = C.TROPHY_STATUS_HTTP
	Server           Status = C.TROPHY_STATUS_SERVER
	QueueFull        Status = C.TROPHY_STATUS_QUEUE_FULL
	Storage          Status = C.TROPHY_STATUS_STORAGE
	Expired          Status = C.TROPHY_STATUS_EXPIRED
	InvalidSignature Status = C.TROPHY_STATUS_INVALID_SIGNATURE
	Panic            Status = C.TROPHY_STATUS_PANIC
)

// Error is the status's code: "not_found".
func (s Status) Error() string {
	return C.GoString(C.trophy_status_name(C.trophy_status(s)))
}

// An Error is why a call failed. Where a context ended it, errors.Is finds context.Canceled or
// context.DeadlineExceeded in it.
type Error struct {
	Status     Status
	Code       string // The status's name: "rate_limited".
	Message    string // For people: it names the parameter and says what to do.
	HTTPStatus int
	Attempts   int
	RetryAfter time.Duration   // What the service asked for; 0 if it did not.
	Body       json.RawMessage // What the service sent.

	cause error
}

func (e *Error) Error() string {
	return "trophy: " + e.Code + ": " + e.Message
}

// Is compares with a Status.
func (e *Error) Is(target error) bool {
	return target == e.Status
}

func (e *Error) Unwrap() error {
	return e.cause
}

// newError reads the library's error JSON.
func newError(status Status, text []byte) *Error {
	var reply struct {
		Error struct {
			Message              string
			HTTPStatus, Attempts int
			RetryAfterMs         float64
			Body                 json.RawMessage
		}
	}
	_ = json.Unmarshal(text, &reply) // It comes from the library, not from the service.
	e := reply.Error
	return &Error{
		status, status.Error(), e.Message, e.HTTPStatus, e.Attempts,
		milliseconds(e.RetryAfterMs), e.Body, nil,
	}
}

// milliseconds are what a server asks for, which may be more than a Duration holds.
func milliseconds(ms float64) time.Duration {
	if ns := ms * float64(time.Millisecond); ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return math.MaxInt64
}

// ownError is one that the library has no part in.
func ownError(status Status, message string) *Error {
	return &Error{Status: status, Code: status.Error(), Message: message}
}

func contextError(cause error) *Error {
	status := Cancelled
	if errors.Is(cause, context.DeadlineExceeded) {
		status = Timeout
	}
	failure := ownError(status, cause.Error())
	failure.cause = cause
	return failure
}

// unfinishedError is that of a Flush or Close which left something.
func unfinishedError(left Ending, cause error) *Error {
	parts := []string{}
	for _, part := range []struct {
		count      int
		one, other string
	}{
		{left.Undelivered, "1 event is not delivered yet", "%d events are not delivered yet"},
		{left.Cancelled, "1 call was cancelled", "%d calls were cancelled"},
	} {
		switch part.count {
		case 0:
		case 1:
			parts = append(parts, part.one)
		default:
			parts = append(parts, fmt.Sprintf(part.other, part.count))
		}
	}
	failure := ownError(Timeout, strings.Join(parts, ", "))
	failure.cause = cause
	return failure
}
