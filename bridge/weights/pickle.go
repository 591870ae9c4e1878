package weights

import (
	"bytes"
	"encoding/binary"
	"math"
)

// An unpickler reads Python pickles of protocols 2 to 5, restricted to plain
// containers and to what [callGlobal] knows. A pickle is a program for a small
// stack machine; here nothing that it names is ever run. A global outside the
// allow-list is an error that names it.
//
// Every opcode pushes a bounded number of values, and what an opcode copies is
// charged to a budget, so memory stays within a multiple of the file's size
// whatever the program does, and maxOps bounds even that. Nothing recurses
// over the values.
//
// Reference: Python's Lib/pickletools.py, which describes each opcode.
type unpickler struct {
	buf     []byte // what is left to read
	stack   []any
	marks   []int // heights of the stack at its MARKs
	memo    map[uint32]any
	storage func(id tuple) (any, error) // resolves a persistent ID
	budget  *budget
	err     error // the first error; every method is a no-op after it
}

// maxOps is ten times what a state dict of 5,000 tensors takes: 40 opcodes a
// tensor.
const maxOps = 1 << 21

// The values of a pickle: nil, bool, int64, float64, string (also for bytes)
// and the types below.
type (
	tuple  []any
	list   struct{ items []any }
	global string // "module.name", on the allow-list
	dict   struct {
		items []item
		attrs *dict // what BUILD attached, or nil
	}
	item   struct{ key, value any }
	opaque struct{} // a value of no interest: a device, an integer of more than 64 bits
)

// A budget bounds what decoding may copy beyond the file's own bytes.
type budget int

func (b *budget) spend(n int, field string) error {
	if n < 0 || n > int(*b) {
		return invalid("%s: would take more memory than the file's size explains", field)
	}
	*b -= budget(n)
	return nil
}

// load runs one pickle and leaves buf behind its end.
func (u *unpickler) load() (any, error) {
	u.stack, u.marks, u.memo = nil, nil, map[uint32]any{}
	for range maxOps {
		op := u.read(1)
		if u.err != nil {
			break
		}
		if op[0] == '.' {
			v := u.pop()
			return v, u.err
		}
		u.step(op[0])
	}
	u.fail("has more than %d opcodes", maxOps)
	return nil, u.err
}

func (u *unpickler) fail(format string, args ...any) {
	if u.err == nil {
		u.err = invalid("pickle: "+format, args...)
	}
}

// read returns the next n bytes, or zeros for a small n after an error.
func (u *unpickler) read(n uint64) []byte {
	if u.err == nil && n > uint64(len(u.buf)) {
		u.fail("ends inside an opcode that needs %d bytes, %d are left", n, len(u.buf))
	}
	if u.err != nil {
		return make([]byte, min(n, 8))
	}
	b := u.buf[:n]
	u.buf = u.buf[n:]
	return b
}

func (u *unpickler) line() string {
	i := bytes.IndexByte(u.buf, '\n')
	if i < 0 {
		u.fail("ends inside a line")
		return ""
	}
	return string(bytes.TrimSuffix(u.read(uint64(i)+1), []byte{'\n'}))
}

func (u *unpickler) length(size uint64) uint64 {
	var b [8]byte
	copy(b[:], u.read(size))
	return binary.LittleEndian.Uint64(b[:])
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

// floor is the height below which opcodes must not reach: the last MARK.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) pop() any {
	if len(u.stack) <= u.floor() {
		u.fail("takes a value from an empty stack")
		return nil
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return v
}

func (u *unpickler) top() any {
	v := u.pop()
	if u.err == nil {
		u.push(v)
	}
	return v
}

// popN removes the last n values; the result is valid until the next push.
func (u *unpickler) popN(n int) []any {
	if len(u.stack)-u.floor() < n {
		u.fail("takes %d values from a stack of %d", n, len(u.stack)-u.floor())
		return nil
	}
	v := u.stack[len(u.stack)-n:]
	u.stack = u.stack[:len(u.stack)-n]
	return v
}

func (u *unpickler) popMark() []any {
	if len(u.marks) == 0 {
		u.fail("closes a group that it has not opened")
		return nil
	}
	v := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return v
}

func (u *unpickler) pushTuple(items []any) {
	if u.err == nil {
		u.push(append(tuple{}, items...))
	}
}

func (u *unpickler) step(op byte) {
	switch op {
	case 0x80: // PROTO
		if p := u.read(1)[0]; p > 5 {
			u.fail("protocol %d, at most 5 is known", p)
		}
	case 0x95: // FRAME
		u.read(8)

	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
	case '0': // POP
		if len(u.marks) > 0 && len(u.stack) == u.floor() {
			u.popMark()
		} else {
			u.pop()
		}
	case '1': // POP_MARK
		u.popMark()
	case 'q', 'r': // BINPUT, LONG_BINPUT
		n := uint64(1)
		if op == 'r' {
			n = 4
		}
		i := uint32(u.length(n))
		u.memo[i] = u.top()
	case 0x94: // MEMOIZE
		u.memo[uint32(len(u.memo))] = u.top()
	case 'h', 'j': // BINGET, LONG_BINGET
		n := uint64(1)
		if op == 'j' {
			n = 4
		}
		i := uint32(u.length(n))
		v, ok := u.memo[i]
		if !ok {
			u.fail("asks for memo %d, which was never set", i)
		}
		u.push(v)

	case 'N': // NONE
		u.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		u.push(op == 0x88)
	case 'K', 'M': // BININT1, BININT2
		n := uint64(1)
		if op == 'M' {
			n = 2
		}
		u.push(int64(u.length(n)))
	case 'J': // BININT
		u.push(int64(int32(u.length(4))))
	case 0x8a, 0x8b: // LONG1, LONG4
		n := uint64(1)
		if op == 0x8b {
			n = 4
		}
		u.push(long(u.read(u.length(n))))
	case 'G': // BINFLOAT
		u.push(math.Float64frombits(binary.BigEndian.Uint64(u.read(8))))

	case 0x8c, 'U', 'C': // strings and bytes: one byte of length
		u.push(string(u.read(u.length(1))))
	case 'X', 'T', 'B': // four bytes of length
		u.push(string(u.read(u.length(4))))
	case 0x8d, 0x8e, 0x96: // eight bytes of length
		u.push(string(u.read(u.length(8))))

	case ')': // EMPTY_TUPLE
		u.push(tuple{})
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		u.pushTuple(u.popN(int(op - 0x84)))
	case 't': // TUPLE
		u.pushTuple(u.popMark())
	case ']', 0x8f: // EMPTY_LIST, EMPTY_SET
		u.push(&list{})
	case 'a': // APPEND
		u.extend(u.popN(1))
	case 'e', 0x90: // APPENDS, ADDITEMS
		u.extend(u.popMark())
	case '}': // EMPTY_DICT
		u.push(&dict{})
	case 's': // SETITEM
		u.update(u.popN(2))
	case 'u': // SETITEMS
		u.update(u.popMark())

	case 'c': // GLOBAL
		module := u.line()
		u.global(module, u.line())
	case 0x93: // STACK_GLOBAL
		name, ok := u.pop().(string)
		module, ok2 := u.pop().(string)
		if !ok || !ok2 {
			u.fail("a global's name is not a string")
		}
		u.global(module, name)
	case 'R', 0x81: // REDUCE, NEWOBJ
		args, ok := u.pop().(tuple)
		callee, ok2 := u.pop().(global)
		if !ok || !ok2 {
			u.fail("calls something that is not a global")
		}
		if u.err == nil {
			v, err := callGlobal(callee, args, u.budget)
			u.push(v)
			u.err = err
		}
	case 'b': // BUILD
		state := u.pop()
		switch v := u.top().(type) {
		case *dict:
			v.attrs, _ = state.(*dict)
		case *tensorRef, opaque: // attributes of a tensor do not interest us
		default:
			u.fail("sets the state of a %T", v)
		}
	case 'Q': // BINPERSID
		id, ok := u.pop().(tuple)
		if !ok {
			u.fail("a persistent ID is not a tuple")
		}
		if u.err == nil {
			v, err := u.storage(id)
			u.push(v)
			u.err = err
		}
	default:
		u.fail("opcode %#02x is not one of those that are allowed", op)
	}
}

func (u *unpickler) extend(items []any) {
	l, ok := u.top().(*list)
	if !ok {
		u.fail("appends to something that is not a list")
		return
	}
	l.items = append(l.items, items...)
}

func (u *unpickler) update(items []any) {
	d, ok := u.top().(*dict)
	if !ok || len(items)%2 != 0 {
		u.fail("sets items of something that is not a dict")
		return
	}
	for i := 0; i < len(items); i += 2 {
		d.items = append(d.items, item{items[i], items[i+1]})
	}
}

func (u *unpickler) global(module, name string) {
	if u.err != nil {
		return
	}
	g := global(module + "." + name)
	if !allowedGlobal(g) {
		u.err = unsupported("pickle: global %.80q is not on the list of what may be loaded", string(g))
		return
	}
	u.push(g)
}

// long decodes a little-endian two's-complement integer.
func long(b []byte) any {
	if len(b) > 8 {
		return opaque{}
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		v |= math.MaxUint64 << (8 * n)
	}
	return int64(v)
}
