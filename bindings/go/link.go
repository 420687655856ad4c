//go:build !trophy_static && !trophy_folder

package trophy

// #cgo pkg-config: trophy
import "C"
