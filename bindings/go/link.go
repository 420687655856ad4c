//go:build !trophy_static

package trophy

// #cgo LDFLAGS: -ltrophy
import "C"
