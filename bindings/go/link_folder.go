//go:build trophy_folder

package trophy

// CGO_CFLAGS and CGO_LDFLAGS say where the header and the library are.

// #cgo LDFLAGS: -ltrophy
import "C"
