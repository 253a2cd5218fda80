package storetest

var workModelTests = map[string]timedTest{}
