// Package bridge is the root of everything that touches another tensor
// library or a model file: libtorch (bridge/torch), weights files
// (bridge/weights), ONNX (bridge/onnx).
//
// No tensor crosses it. Callers hold devices, data, stacks of models and
// vectors, each of which they close, and get back values and errors.
package bridge
