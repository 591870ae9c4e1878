package weights

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A DType names an element type as the safetensors format does.
type DType string

// The element types. Those that safetensors does not know say so.
const (
	Bool DType = "BOOL" // one byte, 0 or 1
	U8   DType = "U8"
	I8   DType = "I8"
	U16  DType = "U16"
	I16  DType = "I16"
	U32  DType = "U32"
	I32  DType = "I32"
	U64  DType = "U64"
	I64  DType = "I64"
	F16  DType = "F16"
	BF16 DType = "BF16"
	F32  DType = "F32"
	F64  DType = "F64"
	C32  DType = "C32"  // two F16; not in safetensors
	C64  DType = "C64"  // two F32
	C128 DType = "C128" // two F64; not in safetensors

	F8E4M3     DType = "F8_E4M3" // no infinities; PyTorch's float8_e4m3fn
	F8E5M2     DType = "F8_E5M2"
	F8E8M0     DType = "F8_E8M0"     // a power of two
	F8E4M3FNUZ DType = "F8_E4M3FNUZ" // no infinities, one zero, bias 8
	F8E5M2FNUZ DType = "F8_E5M2FNUZ" // no infinities, one zero, bias 16
	F6E2M3     DType = "F6_E2M3"     // four elements in three bytes
	F6E3M2     DType = "F6_E3M2"     // four elements in three bytes
	F4         DType = "F4"          // two elements in one byte
)

var dtypeBits = map[DType]int{
	Bool: 8, U8: 8, I8: 8, U16: 16, I16: 16, U32: 32, I32: 32, U64: 64, I64: 64,
	F16: 16, BF16: 16, F32: 32, F64: 64, C32: 32, C64: 64, C128: 128,
	F8E4M3: 8, F8E5M2: 8, F8E8M0: 8, F8E4M3FNUZ: 8, F8E5M2FNUZ: 8, F6E2M3: 6, F6E3M2: 6, F4: 4,
}

// Float64s returns t's elements as numbers, rounded where 53 bits are too few;
// false is 0 and true 1. The error, which wraps [ErrUnsupported], says that
// the type is complex or smaller than a byte. It panics if t's Data has not
// the length that its type and shape ask for.
func (t Tensor) Float64s() ([]float64, error) { return convert[float64](t) }

// Float32s is [Tensor.Float64s] rounded to float32: exact for every type of at
// most 16 bits and for F32.
func (t Tensor) Float32s() ([]float32, error) { return convert[float32](t) }

func convert[T float32 | float64](t Tensor) ([]T, error) {
	if n, err := byteLen(t.DType, t.Shape); err != nil || n != len(t.Data) {
		panic(fmt.Sprintf("weights: %q is not a valid tensor", t.Name))
	}
	at, ok := elementReaders[t.DType]
	if !ok {
		return nil, unsupported("tensor %.80q: %s as real numbers", t.Name, t.DType)
	}
	size := dtypeBits[t.DType] / 8
	v := make([]T, len(t.Data)/size)
	for i := range v {
		v[i] = T(at(t.Data[i*size:]))
	}
	return v, nil
}

// elementReaders holds, for each real type of whole bytes, how its first
// element is read.
var elementReaders = map[DType]func([]byte) float64{
	Bool: func(b []byte) float64 { return float64(min(b[0], 1)) },
	U8:   func(b []byte) float64 { return float64(b[0]) },
	I8:   func(b []byte) float64 { return float64(int8(b[0])) },
	U16:  func(b []byte) float64 { return float64(binary.LittleEndian.Uint16(b)) },
	I16:  func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) },
	U32:  func(b []byte) float64 { return float64(binary.LittleEndian.Uint32(b)) },
	I32:  func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) },
	U64:  func(b []byte) float64 { return float64(binary.LittleEndian.Uint64(b)) },
	I64:  func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) },
	F32:  func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
	F64:  func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	BF16: func(b []byte) float64 {
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	},
	F16:        func(b []byte) float64 { return ieee.value(uint(binary.LittleEndian.Uint16(b)), 5, 10, 15) },
	F8E5M2:     func(b []byte) float64 { return ieee.value(uint(b[0]), 5, 2, 15) },
	F8E4M3:     func(b []byte) float64 { return finite.value(uint(b[0]), 4, 3, 7) },
	F8E4M3FNUZ: func(b []byte) float64 { return unsignedZero.value(uint(b[0]), 4, 3, 8) },
	F8E5M2FNUZ: func(b []byte) float64 { return unsignedZero.value(uint(b[0]), 5, 2, 16) },
	F8E8M0: func(b []byte) float64 {
		if b[0] == 0xff {
			return math.NaN()
		}
		return math.Ldexp(1, int(b[0])-127)
	},
}

// A special says which bit patterns of a small float are not numbers.
type special int

const (
	ieee         special = iota // largest exponent: infinities and NaNs
	finite                      // all ones below the sign: NaN
	unsignedZero                // the pattern of −0: NaN
)

// value decodes a float of one sign, e exponent and m mantissa bits.
//
// Reference: Micikevicius et al., "FP8 Formats for Deep Learning", 2022,
// section 3, for E4M3 and E5M2.
func (s special) value(bits uint, e, m, bias int) float64 {
	sign := 1.0
	if bits>>(e+m)&1 == 1 {
		sign = -1
	}
	exponent, mantissa := int(bits>>m)&(1<<e-1), int(bits)&(1<<m-1)
	largest := exponent == 1<<e-1
	switch {
	case s == ieee && largest && mantissa == 0:
		return sign * math.Inf(1)
	case s == ieee && largest,
		s == finite && largest && mantissa == 1<<m-1,
		s == unsignedZero && sign < 0 && exponent == 0 && mantissa == 0:
		return math.NaN()
	case exponent == 0: // subnormal; sign·0 keeps the sign of a negative zero
		return sign * math.Ldexp(float64(mantissa), 1-bias-m)
	}
	return sign * math.Ldexp(float64(mantissa+1<<m), exponent-bias-m)
}
