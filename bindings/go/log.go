package trophy

/*
#include <stddef.h>
#include <trophy.h>

void goTrophyLog(int32_t level, char *message);

static void write_line(trophy_log_level level, const char *message, void *unused) {
	(void)unused;
	goTrophyLog((int32_t)level, (char *)message);
}

static void log_to_go(int32_t level) {
	trophy_log_set_callback((trophy_log_level)level, level == TROPHY_LOG_LEVEL_OFF ? NULL : write_line, NULL);
}
*/
import "C"

import (
	"sync"
	"sync/atomic"
)

// A LogLevel includes those above it.
type LogLevel int32

const (
	LogOff   LogLevel = C.TROPHY_LOG_LEVEL_OFF
	LogError LogLevel = C.TROPHY_LOG_LEVEL_ERROR
	LogWarn  LogLevel = C.TROPHY_LOG_LEVEL_WARN
	LogInfo  LogLevel = C.TROPHY_LOG_LEVEL_INFO
	LogDebug LogLevel = C.TROPHY_LOG_LEVEL_DEBUG
)

var (
	logger  atomic.Pointer[func(LogLevel, string)]
	logging sync.Mutex
)

// LogTo sets where log lines of a level go, for the whole process; LogOff ends it. They come from any thread, and
// never hold an API key's secret. write must not call this package.
func LogTo(level LogLevel, write func(level LogLevel, message string)) {
	logging.Lock()
	defer logging.Unlock()
	if write == nil {
		level = LogOff
	} else {
		logger.Store(&write)
	}
	C.log_to_go(C.int32_t(level))
}
