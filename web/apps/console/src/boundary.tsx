import { Component, type ReactNode } from "react";

/** Keeps what went wrong in one part of the page from taking the rest with it. */
export class Boundary extends Component<
  { about: string; children: ReactNode },
  { error: Error | undefined }
> {
  override state = { error: undefined as Error | undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <section className="card" role="alert">
        <h2>{this.props.about} could not be shown</h2>
        <p className="empty">{error.message}</p>
        <div className="actions">
          <button type="button" onClick={() => this.setState({ error: undefined })}>
            Try again
          </button>
        </div>
      </section>
    );
  }
}
