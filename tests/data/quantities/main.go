// Records how Kubernetes parses, stores and compares quantities: go run . > vectors.json
//
// "stored" is the text that the API server stores in a list of resources, which it rounds up to thousandths.
package main

import (
	"encoding/json"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

type vector struct {
	Text   string `json:"text"`
	Valid  bool   `json:"valid"`
	Plain  string `json:"plain,omitempty"`
	Stored string `json:"stored,omitempty"`
	// Compared with the next valid vector: -1, 0 or 1.
	Next int `json:"next"`
}

var numbers = []string{
	"0", "00", "1", "+1", "-1", "1.", ".5", "0.5", "-.5", "1.5", "1.0", "007", "10.010", "0.1", "0.001", "0.0001",
	"1.0001", "0.0005", "-0.0005", "1.23456", "1500", "1024", "1000", "999999999999999", "123456789.123456",
	"0.000000001", "0.0000000001", "0.00000000000000000001", "9223372036854775807", "9223372036854775808",
	"99999999999999999999", "0.9999999999",
}

var suffixes = []string{
	"", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
	"e0", "e3", "E3", "e-3", "E-3", "e+3", "E+03", "e18", "E18", "e-9", "e-12", "e19",
}

var odd = []string{
	"", " ", "1 ", " 1", "+", "-", ".", "--1", "+-1", "1..5", "1.5.", "1K", "1ki", "1KI", "1mi", "1MI", "1g", "1b",
	"1Kib", "1i", "1e", "1E", "1e1.5", "1e3Mi", "1Mie3", "1ee3", "0x10", "1_000", "1,5", "NaN", "Inf", "Infinity",
	"e3", "m", "Ki", "1e+", "1E-", "1m1", "1Zi", "1Y", "1h", "1s", "١", "１", "1\n", "soon", "null", "true",
}

func main() {
	texts := append([]string{}, odd...)
	for _, number := range numbers {
		for _, suffix := range suffixes {
			texts = append(texts, number+suffix)
		}
	}
	vectors := make([]vector, len(texts))
	parsed := make([]*resource.Quantity, len(texts))
	for i, text := range texts {
		vectors[i].Text = text
		// The API server does not trim the strings of JSON.
		value, err := resource.ParseQuantity(text)
		if err != nil {
			continue
		}
		parsed[i] = &value
		vectors[i].Valid = true
		plain := value.DeepCopy()
		vectors[i].Plain = plain.String()
		rounded := value.DeepCopy()
		rounded.RoundUp(resource.Milli)
		vectors[i].Stored = rounded.String()
	}
	for i := range vectors {
		for j := i + 1; j < len(vectors); j++ {
			if parsed[i] != nil && parsed[j] != nil {
				vectors[i].Next = parsed[i].Cmp(*parsed[j])
				break
			}
		}
	}
	lines := make([]string, len(vectors))
	for i, item := range vectors {
		line, err := json.Marshal(item)
		if err != nil {
			panic(err)
		}
		lines[i] = string(line)
	}
	os.Stdout.WriteString("[\n" + strings.Join(lines, ",\n") + "\n]\n")
}
