"""Groups that other servers answer for: APIService objects, their availability, and passing requests on to them."""
