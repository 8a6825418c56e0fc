// Command witness-go is a C2SP tlog-witness on Go's own sumdb/note and sumdb/tlog, and a verifier of cosigned
// checkpoints. It shares nothing with Modelkeep but the specifications.
//
//	go run . serve LOG-VKEY NAME SEED-BASE64
//	go run . verify LOG-VKEY WITNESS-VKEY < COSIGNED-CHECKPOINT
//
// serve prints one line, its verifier key and its address, and answers until its stdin ends. verify prints the size and
// the time of the cosignature; otherwise a sentence on stderr and exit code 1.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// cosignatureV1 is the signature type of C2SP tlog-cosignature with Ed25519.
const cosignatureV1 = 4

func main() {
	err := errors.New("usage: witness-go serve LOG-VKEY NAME SEED | verify LOG-VKEY WITNESS-VKEY")
	if len(os.Args) == 5 && os.Args[1] == "serve" {
		err = serve(os.Args[2], os.Args[3], os.Args[4])
	} else if len(os.Args) == 4 && os.Args[1] == "verify" {
		err = verify(os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type witness struct {
	mu   sync.Mutex
	log  note.Verifier
	name string
	key  ed25519.PrivateKey
	last tlog.Tree
}

func serve(logKey, name, seedText string) error {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	seed, err := base64.StdEncoding.DecodeString(seedText)
	if err != nil || len(seed) != ed25519.SeedSize {
		return errors.New("malformed seed")
	}
	w := &witness{log: log, name: name, key: ed25519.NewKeyFromSeed(seed)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	public := w.key.Public().(ed25519.PublicKey)
	typed := append([]byte{cosignatureV1}, public...)
	fmt.Printf("%s+%08x+%s http://%s\n", name, keyID(name, public), base64.StdEncoding.EncodeToString(typed), listener.Addr())
	go http.Serve(listener, w)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (w *witness) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	if request.Method != "POST" || request.URL.Path != "/add-checkpoint" {
		http.NotFound(response, request)
		return
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, 1<<17))
	if err != nil {
		http.Error(response, err.Error(), 400)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	line, status, err := w.add(body)
	if status == 409 {
		response.Header().Set("Content-Type", "text/x.tlog.size")
		response.WriteHeader(409)
		fmt.Fprintf(response, "%d\n", w.last.N)
	} else if err != nil {
		http.Error(response, err.Error(), status)
	} else {
		io.WriteString(response, line)
	}
}

func (w *witness) add(body []byte) (string, int, error) {
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	oldText, isOld := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(oldText, 10, 64)
	if !found || !isOld || err != nil {
		return "", 400, errors.New("malformed body")
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", 400, err
		}
		proof = append(proof, hash)
	}
	signed, err := note.Open(checkpoint, note.VerifierList(w.log))
	if err != nil {
		return "", 403, err
	}
	tree, err := parse(signed.Text, w.log.Name())
	if err != nil {
		return "", 400, err
	}
	if old > tree.N {
		return "", 400, errors.New("the old size is above the size")
	}
	if old != w.last.N {
		return "", 409, errors.New("conflict")
	}
	if old == tree.N && old > 0 && tree.Hash != w.last.Hash {
		return "", 422, errors.New("another root")
	}
	if old > 0 && old < tree.N {
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, w.last.N, w.last.Hash); err != nil {
			return "", 422, err
		}
	} else if len(proof) > 0 {
		return "", 422, errors.New("the proof is not empty")
	}
	w.last = tree
	now := time.Now().Unix()
	payload := binary.BigEndian.AppendUint32(nil, keyID(w.name, w.key.Public().(ed25519.PublicKey)))
	payload = binary.BigEndian.AppendUint64(payload, uint64(now))
	payload = append(payload, ed25519.Sign(w.key, message(signed.Text, uint64(now)))...)
	return fmt.Sprintf("\u2014 %s %s\n", w.name, base64.StdEncoding.EncodeToString(payload)), 200, nil
}

// cosigner verifies cosignature/v1 for note.Open.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }
func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(c.key, message(string(text), binary.BigEndian.Uint64(signature)), signature[8:])
}

func verify(logKey, witnessKey string) error {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	parts := strings.SplitN(witnessKey, "+", 3)
	if len(parts) != 3 {
		return errors.New("malformed witness key")
	}
	typed, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(typed) != 33 || typed[0] != cosignatureV1 {
		return errors.New("not an Ed25519 cosignature key")
	}
	c := &cosigner{name: parts[0], id: keyID(parts[0], typed[1:]), key: typed[1:]}
	if fmt.Sprintf("%08x", c.id) != parts[1] {
		return errors.New("the hash of the witness key is wrong")
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	signed, err := note.Open(input, note.VerifierList(log, c))
	if err != nil {
		return err
	}
	if len(signed.Sigs) != 2 {
		return fmt.Errorf("%d of 2 signatures", len(signed.Sigs))
	}
	tree, err := parse(signed.Text, log.Name())
	if err != nil {
		return err
	}
	payload, err := base64.StdEncoding.DecodeString(signed.Sigs[1].Base64)
	if err != nil {
		return err
	}
	fmt.Printf("%d %d\n", tree.N, binary.BigEndian.Uint64(payload[4:]))
	return nil
}

func message(text string, seconds uint64) []byte {
	return []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text))
}

func keyID(name string, public []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n\x04"), public...))
	return binary.BigEndian.Uint32(sum[:])
}

func parse(text, origin string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		return tree, errors.New("not a checkpoint of this log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}
