// Package onnxpb holds the protocol buffer types of an ONNX file.
//
// onnx-ml.proto is the ONNX project's own (release 1.23.2, Apache-2.0, see
// LICENSE); onnx-ml.pb.go is generated from it and committed, so that no build
// needs protoc. A process can link only one such package.
package onnxpb

// protoc 3.21.12 and protoc-gen-go v1.36.12 wrote the committed file.
//go:generate protoc --go_out=. --go_opt=paths=source_relative --go_opt=Monnx-ml.proto=rarespurious/bridge/onnx/onnxpb onnx-ml.proto
