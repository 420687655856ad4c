//go:build trophy_static

package trophy

// #cgo pkg-config: trophy-static
import "C"
