package transport

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

const (
	rateMin = 1 // frames a second
	rateMax = 15
)

const pageStyle = `body{margin:0;background:#fff;color:#000;font:16px monospace;text-align:center}` +
	`figure{margin:1em auto}img{width:min(92vw,84vh);image-rendering:pixelated}` +
	`.moving figure{display:none}.moving figure.now{display:block}`

// pageScript shows one frame at a time. Without scripts the page still works: all frames stand below each other.
const pageScript = `const body=document.body,all=[...document.querySelectorAll("figure")];` +
	`let rate=Number(body.dataset.fps),at=0,stopped=false,timer;` +
	`function show(){all.forEach((f,i)=>f.classList.toggle("now",i===at))}` +
	`function run(){clearInterval(timer);timer=setInterval(()=>{if(!stopped){at=(at+1)%all.length;show()}},1000/rate)}` +
	`document.addEventListener("keydown",e=>{if(e.key===" "){e.preventDefault();stopped=!stopped}` +
	`if(e.key==="+")rate=Math.min(15,rate+1);if(e.key==="-")rate=Math.max(1,rate-1);` +
	`if(e.key==="ArrowRight"){at=(at+1)%all.length;show()}run()});` +
	`body.classList.add("moving");show();run();`

// HTML puts a series on one page that any browser shows, fps frames a second. The page holds everything: it loads
// nothing, and its own policy forbids it to. Only numbers and pictures made here stand on it, no text from outside.
func HTML(frames []Symbol, fps int) ([]byte, error) {
	if len(frames) == 0 || len(frames) > FramesMax {
		return nil, refuse("qr-series-too-long", "", fmt.Sprintf("1 to %d frames", FramesMax), fmt.Sprint(len(frames)), useFile)
	}
	if fps < rateMin || fps > rateMax {
		return nil, refuse("qr-rate-range", "", fmt.Sprintf("%d to %d frames a second", rateMin, rateMax), fmt.Sprint(fps), "choose 5")
	}
	var out bytes.Buffer
	digest := sha256.Sum256([]byte(pageScript))
	fmt.Fprintf(&out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"+
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-%s'\">\n"+
		"<title>coldsign: %d frames</title>\n<style>%s</style></head>\n<body data-fps=\"%d\">\n",
		base64.StdEncoding.EncodeToString(digest[:]), len(frames), pageStyle, fps)
	for i, frame := range frames {
		picture, err := frame.PNG(PNGScale)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "<figure><img alt=\"frame %d\" src=\"data:image/png;base64,%s\"><figcaption>frame %d of %d</figcaption></figure>\n",
			i+1, base64.StdEncoding.EncodeToString(picture), i+1, len(frames))
	}
	fmt.Fprintf(&out, "<p>space: stop and go, + and -: speed, right arrow: next frame</p>\n<script>%s</script></body></html>\n", pageScript)
	return out.Bytes(), nil
}
