package weights

import "strings"

// storageTypes maps the storage classes of torch to element types.
var storageTypes = map[string]DType{
	"DoubleStorage": F64, "FloatStorage": F32, "HalfStorage": F16, "BFloat16Storage": BF16,
	"LongStorage": I64, "IntStorage": I32, "ShortStorage": I16, "CharStorage": I8, "ByteStorage": U8, "BoolStorage": Bool,
	"ComplexFloatStorage": C64, "ComplexDoubleStorage": C128, "UntypedStorage": U8,
}

// torchTypes maps the dtypes of torch, which name what has no storage class.
var torchTypes = map[string]DType{
	"float64": F64, "float32": F32, "float16": F16, "bfloat16": BF16,
	"int64": I64, "int32": I32, "int16": I16, "int8": I8, "uint8": U8, "bool": Bool,
	"uint16": U16, "uint32": U32, "uint64": U64,
	"complex32": C32, "complex64": C64, "complex128": C128,
	"float8_e4m3fn": F8E4M3, "float8_e5m2": F8E5M2, "float8_e8m0fnu": F8E8M0,
	"float8_e4m3fnuz": F8E4M3FNUZ, "float8_e5m2fnuz": F8E5M2FNUZ,
}

func storageType(g global) (DType, bool) {
	module, name := split(g)
	dt, ok := storageTypes[name]
	return dt, ok && (module == "torch" || module == "torch.cuda" || module == "torch.storage")
}

func torchType(g global) (DType, bool) {
	module, name := split(g)
	dt, ok := torchTypes[name]
	return dt, ok && module == "torch"
}

func split(g global) (module, name string) {
	i := strings.LastIndexByte(string(g), '.')
	return string(g[:max(i, 0)]), string(g[i+1:])
}

// allowedGlobal reports whether a pickle may mention g at all.
func allowedGlobal(g global) bool {
	switch g {
	case "collections.OrderedDict", "collections.Counter",
		"__builtin__.set", "builtins.set", "_codecs.encode",
		"torch.Size", "torch.device", "torch.Tensor", "torch._tensor._rebuild_from_type_v2",
		"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
		"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter":
		return true
	}
	_, isStorage := storageType(g)
	_, isType := torchType(g)
	return isStorage || isType
}

// A tensorRef is a tensor of a pickle: a view of a storage, not yet read.
type tensorRef struct {
	storage       storageView
	dtype         DType
	offset        any // in elements of dtype
	shape, stride any // tuples
}

// callGlobal is what calling an allowed global amounts to.
func callGlobal(g global, args tuple, b *budget) (any, error) {
	arg := func(i int) any {
		if i < len(args) {
			return args[i]
		}
		return nil
	}
	switch g {
	case "collections.OrderedDict", "collections.Counter":
		switch v := arg(0).(type) {
		case nil:
			return &dict{}, nil
		case *dict:
			return v, nil
		case *list:
			return dictOfPairs(v, b)
		}
	case "__builtin__.set", "builtins.set":
		if v, ok := arg(0).(*list); ok {
			return v, nil
		}
	case "_codecs.encode":
		if v, ok := arg(0).(string); ok {
			return v, nil
		}
	case "torch.Size":
		if v, ok := arg(0).(tuple); ok {
			return v, nil
		}
	case "torch.device":
		return opaque{}, nil
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter":
		if v, ok := arg(0).(*tensorRef); ok {
			return v, nil
		}
	case "torch._tensor._rebuild_from_type_v2": // (function, type, arguments, state)
		f, ok := arg(0).(global)
		inner, ok2 := arg(2).(tuple)
		if ok && ok2 && f != g {
			return callGlobal(f, inner, b)
		}
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3":
		return rebuildTensor(g, args)
	}
	return nil, invalid("pickle: %s is called with arguments that it does not take", g)
}

func dictOfPairs(l *list, b *budget) (*dict, error) {
	if err := b.spend(len(l.items), "pickle: OrderedDict"); err != nil {
		return nil, err
	}
	d := &dict{}
	for _, p := range l.items {
		var pair []any
		switch p := p.(type) {
		case *list:
			pair = p.items
		case tuple:
			pair = p
		}
		if len(pair) != 2 {
			return nil, invalid("pickle: an OrderedDict is made of something that is not a pair")
		}
		d.items = append(d.items, item{pair[0], pair[1]})
	}
	return d, nil
}

// rebuildTensor takes (storage, offset, size, stride) and, in version 2,
// (requires_grad, hooks, metadata), in version 3 (requires_grad, hooks, dtype,
// metadata). Metadata marks lazily conjugated or negated views.
func rebuildTensor(g global, args tuple) (any, error) {
	if len(args) < 4 {
		return nil, invalid("pickle: %s is called with %d arguments", g, len(args))
	}
	s, ok := args[0].(storageView)
	if !ok {
		return nil, invalid("pickle: %s is called without a storage", g)
	}
	t := &tensorRef{s, s.of.dtype, args[1], args[2], args[3]}
	extra := args[4:]
	if g == "torch._utils._rebuild_tensor_v3" {
		name, ok := any(nil), false
		if len(extra) > 2 {
			name = extra[2]
			extra = extra[1:]
		}
		if dt, isGlobal := name.(global); isGlobal {
			t.dtype, ok = torchType(dt)
		}
		if !ok {
			return nil, invalid("pickle: %s is called without a dtype", g)
		}
	}
	if len(extra) > 2 {
		if m, ok := extra[2].(*dict); !ok && extra[2] != nil || ok && len(m.items) > 0 {
			return nil, unsupported("pickle: a conjugated or negated view")
		}
	}
	return t, nil
}
