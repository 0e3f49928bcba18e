package metrics

import "strings"

// maxLabel is how many bytes of a text become the value of a label.
const maxLabel = 128

// valid makes the value of a label of a text that others have chosen: what is no UTF-8 in it would fail the whole scrape.
func valid(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) > maxLabel {
		text = strings.ToValidUTF8(text[:maxLabel], "") // of the last character there may be only a part
	}
	return text
}
