package trophy

// #include <trophy.h>
//
// void goTrophyLog(int32_t level, char *message);
import "C"

import (
	"encoding/json"
	"runtime/cgo"
)

// In a file of its own, since cgo lets a file with exports declare C functions only, and define none.

//export goTrophyDone
func goTrophyDone(status C.int32_t, text *C.char, tag C.uintptr_t) {
	handle := cgo.Handle(tag)
	done := handle.Value().(chan outcome)
	handle.Delete()
	done <- outcome{Status(status), []byte(C.GoString(text))}
}

//export goTrophyDelivered
func goTrophyDelivered(status C.int32_t, text *C.char, tag C.uintptr_t) {
	hear := *cgo.Handle(tag).Value().(*shared).listener.Load()
	if hear == nil {
		return
	}
	var end struct {
		IdempotencyKey, Key, UserID string
		Response                    json.RawMessage
	}
	reply := []byte(C.GoString(text))
	_ = json.Unmarshal(reply, &end) // It comes from the library, not from the service.
	delivery := Delivery{end.IdempotencyKey, end.Key, end.UserID, end.Response, nil}
	if Status(status) != OK {
		delivery.Err = newError(Status(status), reply)
	}
	hear(delivery)
}

//export goTrophyLog
func goTrophyLog(level C.int32_t, message *C.char) {
	if write := logger.Load(); write != nil {
		(*write)(LogLevel(level), C.GoString(message))
	}
}
