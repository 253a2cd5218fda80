package nexus

import (
	"fmt"
	"strconv"
	"strings"
)

// Spending is what a task or a project has used of its budget: what the metrics of
// type token_usage and cost_usd that name it add up to.
type Spending struct {
	Tokens       float64 `json:"tokens"`
	USD          float64 `json:"usd"`
	BudgetTokens int64   `json:"budget_tokens,omitempty"` // 0 is no limit
	BudgetUSD    float64 `json:"budget_usd,omitempty"`    // 0 is no limit
}

// Limited reports whether there is a budget.
func (s *Spending) Limited() bool { return s.BudgetTokens > 0 || s.BudgetUSD > 0 }

// UsedUp reports whether nothing is left of one of the budgets.
func (s *Spending) UsedUp() bool {
	return s.BudgetTokens > 0 && s.Tokens >= float64(s.BudgetTokens) || s.BudgetUSD > 0 && s.USD >= s.BudgetUSD
}

// String says what is used of what, of the budgets that there are.
func (s *Spending) String() string {
	var parts []string
	if s.BudgetTokens > 0 {
		parts = append(parts, fmt.Sprintf("%s of %d tokens", strconv.FormatFloat(s.Tokens, 'f', -1, 64), s.BudgetTokens))
	}
	if s.BudgetUSD > 0 {
		parts = append(parts, fmt.Sprintf("$%s of $%s", dollars(s.USD), dollars(s.BudgetUSD)))
	}
	return strings.Join(parts, ", ")
}

// dollars shows cents, and what is smaller if there is any.
func dollars(usd float64) string {
	text := strconv.FormatFloat(usd, 'f', -1, 64)
	if _, cents, _ := strings.Cut(text, "."); len(cents) < 2 {
		text = strconv.FormatFloat(usd, 'f', 2, 64)
	}
	return text
}

// RaiseHint says how a person raises the budget that is used up.
func (s *Spending) RaiseHint(kind Kind, id string) string {
	flag := "--budget-tokens"
	if s.BudgetUSD > 0 && s.USD >= s.BudgetUSD {
		flag = "--budget-usd"
	}
	return fmt.Sprintf("nexus %s update %s %s raises it", kind, id, flag)
}
