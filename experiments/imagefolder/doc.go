// Package imagefolder turns folders of photographs into training data for the
// natural spurious patterns, where the context of a photo is the pattern.
//
// The one idea: decide everything about the files first, then never touch
// them again. [Scan] names the images of a context/class/file tree; [Build]
// decodes each of them once, by content, scales it as PIL would, and writes
// one memory-mapped [Pack]; everything after that (splits, [Trial]s, crops) is
// arithmetic on indices and rectangles.
//
// An image that cannot be read is an error that names it, before any training
// starts, and never a black or half-gray picture.
package imagefolder
