module github.com/coldsign/coldsign/scripts/matchbench

go 1.26.0

require (
	github.com/coldsign/coldsign v0.0.0
	github.com/danielgatis/go-orderbook v0.0.0-20230808024110-7640955559eb
	github.com/emirpasic/gods v1.18.1
	github.com/shopspring/decimal v1.3.1
	golang.org/x/sys v0.49.0
)

require github.com/google/uuid v1.3.0 // indirect

replace github.com/coldsign/coldsign => ../..
