// Package configs holds the figure files, so that the program has them where
// its source is not.
package configs

import "embed"

// FS holds every figure file of this folder.
//
//go:embed *.yaml
var FS embed.FS
