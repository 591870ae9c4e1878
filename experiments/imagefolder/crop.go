package imagefolder

import (
	"math"
	"math/rand/v2"
)

// A Rect is a window of an image: H rows from Top, W columns from Left.
type Rect struct{ Top, Left, H, W int }

// RandomResizedCrop draws the window of an h by w image that training scales
// to the network's input: area uniform in 8 % to 100 % of the image's, the
// logarithm of width/height uniform between 3/4 and 4/3, place uniform. If ten
// draws do not fit into the image, it is the largest centred window whose
// aspect lies in that range.
//
// torchvision crops the original photograph. Here h and w are those of the
// cached image, whose shorter side was scaled down before: the windows have the
// same distribution relative to the image, but small ones are enlarged from
// fewer pixels, so training sees slightly softer close-ups.
//
// Reference: C. Szegedy et al., "Going Deeper with Convolutions", 2015,
// section 6; ranges and fallback as in torchvision's RandomResizedCrop.
func RandomResizedCrop(h, w int, rng *rand.Rand) Rect {
	const narrow, wide = 3. / 4, 4. / 3
	area := float64(h) * float64(w)
	for range 10 {
		target := area * uniform(rng, 0.08, 1)
		aspect := math.Exp(uniform(rng, math.Log(narrow), math.Log(wide)))
		cw := round(math.Sqrt(target * aspect))
		ch := round(math.Sqrt(target / aspect))
		if 0 < cw && cw <= w && 0 < ch && ch <= h {
			return Rect{rng.IntN(h - ch + 1), rng.IntN(w - cw + 1), ch, cw}
		}
	}
	ch, cw := h, w
	switch aspect := float64(w) / float64(h); {
	case aspect < narrow:
		ch = round(float64(w) / narrow)
	case aspect > wide:
		cw = round(float64(h) * wide)
	}
	return Rect{(h - ch) / 2, (w - cw) / 2, ch, cw}
}

// CenterCrop returns the size by size window in the middle of an h by w image,
// as torchvision's CenterCrop. It panics if the image is smaller.
func CenterCrop(h, w, size int) Rect {
	if size <= 0 || size > h || size > w {
		panic("imagefolder: crop does not fit into the image")
	}
	return Rect{round(float64(h-size) / 2), round(float64(w-size) / 2), size, size}
}

// uniform draws from [low, high).
func uniform(rng *rand.Rand, low, high float64) float64 {
	return low + (high-low)*rng.Float64()
}

// round is Python's round: halves go to the even neighbour.
func round(x float64) int { return int(math.RoundToEven(x)) }
