# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "libtrophy"
  spec.version = File.read(File.join(__dir__, "../../Cargo.toml"))[/^version = "(.+)"/, 1]
  # A gem that has the library in it, in native/, is for one platform.
  spec.platform = ENV.fetch("TROPHY_GEM_PLATFORM", "ruby")
  spec.summary = "Trophy, the hosted gamification service: events that count once, a queue that loses none"
  spec.authors = ["The authors of libtrophy"]
  spec.licenses = %w[MIT Apache-2.0]
  spec.files = Dir.chdir(__dir__) { Dir["lib/**/*.rb", "native/*", "*.md", "*.txt", "*.html", "example.rb", "LICENSE-*"].sort }
  spec.required_ruby_version = ">= 2.7"
  spec.metadata["rubygems_mfa_required"] = "true"
  spec.add_dependency "ffi", "~> 1.15"
end
