// Command audit-go verifies a copy of a keep's log directory with Go's own sumdb/note and sumdb/tlog, the code that
// checks the Go checksum database. It shares nothing with Modelkeep but the file formats.
//
//	go run . DIRECTORY VKEY
//
// It prints one line of JSON on success; otherwise a sentence on stderr and exit code 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// height is that of C2SP tlog-tiles: 256 hashes to a tile.
const height = 8

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: audit-go DIRECTORY VKEY")
		os.Exit(2)
	}
	report, err := verify(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		os.Exit(1)
	}
}

// Report is what was checked.
type Report struct {
	Origin      string `json:"origin"`
	Size        int64  `json:"size"`
	Entries     int64  `json:"entries"`
	Inclusion   int    `json:"inclusionProofs"`
	Consistency int    `json:"consistencyProofs"`
}

func verify(directory, vkey string) (*Report, error) {
	origin, tree, err := openCheckpoint(directory, vkey)
	if err != nil {
		return nil, err
	}
	report := &Report{Origin: origin, Size: tree.N}
	// TileHashReader checks each tile that it reads against the signed root.
	hashes := tlog.TileHashReader(tree, &tiles{directory})
	for first := int64(0); first < tree.N; first += 1 << height {
		width := min(tree.N-first, 1<<height)
		entries, err := readBundle(directory, first>>height, int(width))
		if err != nil {
			return nil, err
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return nil, err
		}
		for i, entry := range entries {
			index := first + int64(i)
			if tlog.RecordHash(entry) != leaves[i] {
				return nil, fmt.Errorf("entry %d does not match its leaf hash", index)
			}
			var parsed map[string]any
			if err := json.Unmarshal(entry, &parsed); err != nil {
				return nil, fmt.Errorf("entry %d is not JSON: %w", index, err)
			}
			report.Entries++
			if index%97 != 0 && index != tree.N-1 {
				continue
			}
			if err := proveInclusion(tree, index, leaves[i], hashes); err != nil {
				return nil, err
			}
			report.Inclusion++
		}
	}
	for size := int64(1); size < tree.N; size = size*3 + 1 {
		if err := proveConsistency(tree, size, hashes); err != nil {
			return nil, err
		}
		report.Consistency++
	}
	return report, nil
}

func proveInclusion(tree tlog.Tree, index int64, leaf tlog.Hash, hashes tlog.HashReader) error {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
		return fmt.Errorf("entry %d is not in the tree: %w", index, err)
	}
	return nil
}

func proveConsistency(tree tlog.Tree, size int64, hashes tlog.HashReader) error {
	old, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, size, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, size, old)
}

// openCheckpoint reads the three lines of C2SP tlog-checkpoint; tlog.ParseTree accepts only "go.sum database tree".
func openCheckpoint(directory, vkey string) (string, tlog.Tree, error) {
	var tree tlog.Tree
	message, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return "", tree, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return "", tree, fmt.Errorf("verifier key: %w", err)
	}
	signed, err := note.Open(message, note.VerifierList(verifier))
	if err != nil {
		return "", tree, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		return "", tree, errors.New("checkpoint: not three lines of this log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return "", tree, fmt.Errorf("checkpoint: %w", err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return "", tree, errors.New("checkpoint: malformed root hash")
	}
	copy(tree.Hash[:], root)
	return lines[0], tree, nil
}

func readBundle(directory string, index int64, width int) ([][]byte, error) {
	path := strings.Replace(tilePath(0, index, width), "tile/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(directory, path))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			break
		}
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if len(entries) != width || len(data) != 0 {
		return nil, fmt.Errorf("entry %d: %s does not hold %d entries", index<<height+int64(len(entries)), path, width)
	}
	return entries, nil
}

type tiles struct{ directory string }

func (*tiles) Height() int { return height }

func (t *tiles) ReadTiles(asked []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(asked))
	for i, tile := range asked {
		data, err := os.ReadFile(filepath.Join(t.directory, tilePath(tile.L, tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		all[i] = data
	}
	return all, nil
}

func (*tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// tilePath is tlog.Tile.Path without the tile height, which C2SP tlog-tiles fixes at 8 and leaves out.
func tilePath(level int, index int64, width int) string {
	path := tlog.Tile{H: height, L: level, N: index, W: width}.Path()
	return strings.Replace(path, "tile/8/", "tile/", 1)
}
