#include "textflag.h"

// func lines(at *[listLen]uintptr, n int)
TEXT ·lines(SB), NOSPLIT, $0-16
	MOVD at+0(FP), R1
	MOVD n+8(FP), R2
	CMP  $0, R2
	BLE  done
next:
	MOVD.P 8(R1), R0
	PRFM (R0), PLDL1KEEP
	SUBS $1, R2, R2
	BNE  next
done:
	RET

// func line(p unsafe.Pointer)
TEXT ·line(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	RET
