// Package seed derives independent random streams from one seed.
//
// Every use of randomness names its purpose ("init", "shuffle", "augment",
// "noise", "dropout", "split"), so that adding a draw to one stream moves no
// other. The two draws that must equal the published experiments' use package
// mt19937 instead.
package seed

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
)

// Rand returns the stream of purpose under seed: ChaCha8 keyed by the SHA-256
// of "seed/purpose", the seed in decimal. It is not safe for concurrent use.
func Rand(seed uint64, purpose string) *rand.Rand {
	return rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d/%s", seed, purpose))))
}
