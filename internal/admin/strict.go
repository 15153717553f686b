package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

const depthMax = 16 // objects within objects; the deepest of ours has four

// decodeStrict reads one JSON object into v: no unknown key, no repeated key at any depth, nothing behind it. The
// standard decoder alone would take the last of two equal keys, and two readers could then see two different values.
func decodeStrict(raw []byte, v any) error {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(raw)), 0); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("json: something follows the object")
	}
	return nil
}

// checkKeys walks one value and refuses repeated keys and needless depth.
func checkKeys(d *json.Decoder, depth int) error {
	if depth > depthMax {
		return fmt.Errorf("json: deeper than %d", depthMax)
	}
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	opening, isDelim := token.(json.Delim)
	if !isDelim {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if opening == '{' {
			key, err := d.Token()
			if err != nil {
				return fmt.Errorf("json: %w", err)
			}
			name, _ := key.(string)
			if name = strings.ToLower(name); seen[name] { // the decoder folds case, so this does as well
				return fmt.Errorf("json: key %q appears twice", name)
			}
			seen[name] = true
		}
		if err := checkKeys(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
