package store

import "testing"

func TestAlarmsSpeakToPeople(t *testing.T) {
	for detail, want := range map[string]string{
		`{"text":"answer of key 1 to top-up 7: r \\u003c n"}`: `answer of key 1 to top-up 7: r \u003c n`,
		`{"found":"r 02 also under key 03","bundle":"ab12"}`:  "bundle ab12, found r 02 also under key 03",
		`{"text":"one","more":2}`:                             "more 2, text one",
		`{"serial":9007199254740993}`:                         "serial 9007199254740993",
		`{"coins":["ab:0","cd:1"],"count":2}`:                 "coins ab:0 cd:1, count 2",
		"plain":                                               "plain",
	} {
		if got := words(detail); got != want {
			t.Errorf("%s: %q, want %q", detail, got, want)
		}
	}
}
